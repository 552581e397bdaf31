/** Usage as it was reported: charged once, booked once, never refused for lack of budget (signals.md, section 3). */
import { stories } from "./support/Story.ts"

stories("posting a hold", {
  "what was held is released, what was used is charged": `
    budget A limit=100
    hold r1 10          -> held
    post r1 4           -> posted 4
    see A               -> spent 4, held 0, left 96
    total               -> requests 1, tokens 4, cost 4
  `,
  "by the hold's id, or by the request's alone": `
    budget A limit=100
    hold r1 10          -> held
    hold r2 10          -> held
    post r1 4 hold=r1   -> posted 4
    post r2 4           -> posted 4
    see A               -> spent 8, held 0, left 92
  `,
  "use above the hold is overage, and is charged": `
    budget A limit=10
    hold r1 5           -> held
    post r1 12          -> posted 12, overage 7, alerts A:50 A:80 A:90 A:100
    see A               -> spent 12, held 0, left -2
  `,
  "usage is never refused for lack of budget": `
    budget A limit=1
    post r1 50          -> posted 50, alerts A:50 A:80 A:90 A:100
    see A               -> spent 50, held 0, left -49
  `,
  "attribution that is absent comes from the hold": `
    budget U limit=100 type=user id=ann
    budget T limit=100 type=team id=red
    hold r1 10 user=ann team=red -> held
    post r1 4           -> posted 4
    see U               -> spent 4, held 0, left 96
    see T               -> spent 4, held 0, left 96
  `,
  "an attempt that is charged elsewhere frees nothing here": `
    budget A limit=10 type=user id=ann
    hold r1 10 user=ann -> held
    post r1 6 user=bob settle=no -> posted 6
    see A               -> spent 0, held 10, left 0
    hold r2 1 user=ann  -> refused A by 1
  `,
  "attribution that is present wins, and what was held goes back": `
    budget A limit=100 type=user id=ann
    budget B limit=100 type=user id=bob
    hold r1 10 user=ann -> held
    post r1 4 user=bob  -> posted 4
    see A               -> spent 0, held 0, left 100
    see B               -> spent 4, held 0, left 96
  `,
  "no hold at all": `
    budget A limit=100
    post r1 4           -> posted 4
    see A               -> spent 4, held 0, left 96
  `,
  "the hold of another request": `
    hold r1 10          -> held
    post r2 4 hold=r1   -> Conflict hold_of_another_request
    post r2 4 hold=hold_9.r2 -> NotFound
    post r2 4           -> posted 4
  `
})

stories("after a hold has ended", {
  "a released hold does not stop its usage": `
    budget A limit=100
    hold r1 10          -> held
    release r1          -> released
    post r1 4 hold=r1   -> posted 4, overage 4
    see A               -> spent 4, held 0, left 96
    release r1          -> Conflict hold_already_posted
  `,
  "lesson 3: an expired hold does not stop its usage, and it is charged once": `
    budget A limit=100
    hold r1 10 ttl=1m   -> held
    wait 2m
    post r1 4 hold=r1   -> posted 4, overage 4
    post r1 4 hold=r1   -> again 4, overage 4
    see A               -> spent 4, held 0, left 96
    total               -> requests 1, tokens 4, cost 4
  `,
  "a report that names an earlier hold of its request is charged": `
    budget A limit=100
    hold r1 10 ttl=1m as=first -> held
    wait 2m
    hold r1 8 as=second -> held
    post r1 4 hold=first -> posted 4
    see A               -> spent 4, held 0, left 96
  `,
  "a repeat that names an earlier hold is a repeat": `
    budget A limit=100
    hold r1 10 ttl=1m as=first -> held
    post r1 4 hold=first settle=no -> posted 4
    wait 2m
    hold r1 8 as=second -> held
    post r1 4 hold=first settle=no -> again 4
    see A               -> spent 4, held 8, left 88
  `
})

stories("attempts", {
  "an attempt that is retried charges, takes its charge out of the hold, and leaves the rest": `
    budget A limit=100
    budget T limit=100 measure=tokens
    budget Q limit=100 measure=requests
    hold r1 10          -> held
    post r1 4 settle=no -> posted 4
    see A               -> spent 4, held 6, left 90
    see T               -> spent 4, held 6, left 90
    see Q               -> spent 1, held 0, left 99
    post r1 5 attempt=2 -> posted 5
    see A               -> spent 9, held 0, left 91
    see Q               -> spent 1, held 0, left 99
    total               -> requests 1, tokens 9, cost 9
  `,
  "attempts that use more than the hold": `
    budget A limit=100
    hold r1 10          -> held
    post r1 8 settle=no -> posted 8
    post r1 8 settle=no attempt=2 -> posted 8, overage 6
    see A               -> spent 16, held 0, left 84
    post r1 8 attempt=3 -> posted 8, overage 8
    see A               -> spent 24, held 0, left 76
  `,
  "attempts may come in any order": `
    budget Q limit=100 measure=requests
    hold r1 10          -> held
    post r1 5 attempt=2 -> posted 5
    post r1 4 attempt=1 settle=no -> posted 4, overage 4
    see Q               -> spent 1, held 0, left 99
    total               -> requests 1, tokens 9, cost 9
  `,
  "a request that was counted is not counted again by a second hold": `
    budget Q limit=1 measure=requests
    hold r1 10 ttl=1m   -> held
    post r1 4 settle=no -> posted 4, alerts Q:50 Q:80 Q:90 Q:100
    wait 1m
    hold r1 10          -> held
    see Q               -> spent 1, held 0, left 0
    post r1 4 attempt=2 -> posted 4
    see Q               -> spent 1, held 0, left 0
  `,
  "an unsettled hold expires with what is left in it, and raises no alert": `
    budget A limit=100
    hold r1 10 ttl=1m   -> held
    post r1 4 settle=no -> posted 4
    wait 1m
    see A               -> spent 4, held 0, left 96
    alerts              ->
  `
})

stories("repeats and conflicts", {
  "lesson 3: the same again is answered the same, and counted once": `
    budget A limit=100
    hold r1 10          -> held
    post r1 60          -> posted 60, overage 50, alerts A:50
    post r1 60          -> again 60, overage 50
    post r1 60          -> again 60, overage 50
    see A               -> spent 60, held 0, left 40
    total               -> requests 1, tokens 60, cost 60
  `,
  "other content is a conflict": `
    post r1 4           -> posted 4
    post r1 5           -> Conflict request_reused_with_different_content
    post r1 4 out=1     -> Conflict request_reused_with_different_content
    post r1 4 model=free -> Conflict request_reused_with_different_content
    post r1 4 user=ann  -> Conflict request_reused_with_different_content
    post r1 4 status=error -> Conflict request_reused_with_different_content
    post r1 4           -> again 4
    total               -> requests 1, tokens 4, cost 4
  `,
  "a repeat of each attempt": `
    hold r1 10          -> held
    post r1 4 settle=no -> posted 4
    post r1 4 settle=no -> again 4
    post r1 5 attempt=2 -> posted 5
    post r1 4 settle=no -> again 4
    post r1 5 attempt=2 -> again 5
    total               -> requests 1, tokens 9, cost 9
  `,
  "a repeat long after, when memory may have forgotten it": `
    budget A limit=100
    post r1 4           -> posted 4
    wait 400d
    post r1 4           -> again 4
    total               -> requests 1, tokens 4, cost 4
  `
})

stories("estimates that are replaced", {
  "a final report replaces an estimate once, by a row of its own": `
    budget A limit=100
    budget T limit=100 measure=tokens
    budget Q limit=100 measure=requests
    hold r1 20          -> held
    post r1 10 status=estimated -> posted 10
    see A               -> spent 10, held 0, left 90
    post r1 4           -> adjusted -6
    see A               -> spent 4, held 0, left 96
    see T               -> spent 4, held 0, left 96
    see Q               -> spent 1, held 0, left 99
    total               -> requests 1, tokens 4, cost 4
    post r1 4           -> again -6
    post r1 5           -> Conflict request_reused_with_different_content
    post r1 10 status=estimated -> Conflict request_reused_with_different_content
    total               -> requests 1, tokens 4, cost 4
  `,
  "an estimate that was too low": `
    budget A limit=100
    post r1 10 status=estimated -> posted 10
    post r1 60          -> adjusted 50, alerts A:50
    see A               -> spent 60, held 0, left 40
  `,
  "the same estimate again is a repeat": `
    post r1 10 status=estimated -> posted 10
    post r1 10 status=estimated -> again 10
    post r1 11 status=estimated -> Conflict request_reused_with_different_content
    total               -> requests 1, tokens 10, cost 10
  `,
  "the adjustment lands where the estimate was, whoever the final report names": `
    budget U limit=100 type=user id=ann
    budget V limit=100 type=user id=bob
    post r1 10 user=ann status=estimated -> posted 10
    post r1 4 user=bob  -> Conflict request_reused_with_different_content
    post r1 4           -> adjusted -6
    see U               -> spent 4, held 0, left 96
    see V               -> spent 0, held 0, left 100
  `,
  "after a final report nothing is held for its request any more, also where its hold had expired": `
    budget A limit=100
    hold r1 20 ttl=1m   -> held
    wait 2m
    post r1 10 settle=no status=estimated -> posted 10, overage 10
    post r1 4           -> adjusted -6
    hold r1 20          -> Conflict hold_already_posted
    see A               -> spent 4, held 0, left 96
  `,
  "the adjustment lands in the estimate's period": `
    budget A limit=100
    at 2026-03-10T23:50:00Z
    post r1 10 status=estimated -> posted 10
    at 2026-03-11T00:10:00Z
    post r2 1           -> posted 1
    post r1 4           -> adjusted -6
    see A               -> spent 1, held 0, left 99
  `,
  "an adjustment that comes long after lands there as well, in memory or not": `
    budget A limit=100
    post r1 10 status=estimated -> posted 10
    post r0 1           -> posted 1
    wait 9d
    forget
    post r2 30          -> posted 30
    post r1 4           -> adjusted -6
    see A               -> spent 30, held 0, left 70
    past A 2026-03-10   -> spent 5
    post r1 4           -> again -6
    past A 2026-03-10   -> spent 5
    total               -> requests 3, tokens 35, cost 35
  `
})

stories("usage without a price", {
  "it is never free: token and request budgets count it, cost budgets know nothing of it": `
    budget A limit=100
    budget T limit=100 measure=tokens
    budget Q limit=100 measure=requests
    post r1 60 model=nameless reported=5 -> posted 0, unpriced, alerts T:50 unpriced
    see A               -> spent 0, held 0, left 100
    see T               -> spent 60, held 0, left 40
    see Q               -> spent 1, held 0, left 99
  `,
  "a free model says that it is free": `
    budget A limit=100
    hold r1 60 model=free -> held
    post r1 60 model=free -> posted 0, free
  `,
  "lesson 18: a cost reported by others is kept, not believed": `
    budget A limit=100
    post r1 4 reported=99 -> posted 4
    see A               -> spent 4, held 0, left 96
  `,
  "a price from now on leaves the past as it is": `
    budget A limit=100
    post r1 4 model=newcomer -> posted 0, unpriced, alerts unpriced
    price newcomer 2
    post r2 4 model=newcomer -> posted 8
    post r1 4 model=newcomer -> again 0, unpriced
    see A               -> spent 8, held 0, left 92
  `
})
