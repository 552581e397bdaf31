/** Approval before a call: what may be held, by whom, and how a hold ends (signals.md, section 4). */
import { stories } from "./support/Story.ts"

stories("room", {
  "lesson 4: exactly to the limit is allowed, one unit more is refused (cost)": `
    budget A limit=10
    hold r1 9           -> held
    hold r2 2           -> refused A by 1
    hold r3 1           -> held
    see A               -> spent 0, held 10, left 0
    hold r4 cost=0.000000000001 -> refused A by 0.000000000001
    post r1 9           -> posted 9, alerts A:50 A:80 A:90
    post r3 1           -> posted 1, alerts A:100
    see A               -> spent 10, held 0, left 0
    hold r5 1           -> refused A by 1
  `,
  "lesson 4: exactly to the limit is allowed, one unit more is refused (cost, smallest unit)": `
    budget A limit=0.000000000003
    hold r1 cost=0.000000000003 look=yes -> may
    hold r1 cost=0.000000000004      -> refused A by 0.000000000001
    hold r1 cost=0.000000000003      -> held
    hold r2 cost=0.000000000001      -> refused A by 0.000000000001
    hold r3 cost=0                   -> held
  `,
  "lesson 4: exactly to the limit is allowed, one unit more is refused (tokens)": `
    budget T limit=100 measure=tokens
    hold r1 60 out=40   -> held
    see T               -> spent 0, held 100, left 0
    hold r2 1           -> refused T by 1
    post r1 60 out=40   -> posted 100, alerts T:50 T:80 T:90 T:100
    hold r2 1           -> refused T by 1
    see T               -> spent 100, held 0, left 0
  `,
  "lesson 4: exactly to the limit is allowed, one unit more is refused (requests)": `
    budget Q limit=2 measure=requests
    hold r1 500         -> held
    hold r2 500         -> held
    hold r3 1           -> refused Q by 1
    post r1 500         -> posted 500, alerts Q:50
    hold r3 1           -> refused Q by 1
    release r2          -> released
    hold r3 1           -> held
  `,
  "a limit of nothing refuses everything that costs": `
    budget A limit=0
    hold r1 1           -> refused A by 1
    hold r2 0           -> held
  `,
  "lesson 4: a fresh user is not refused": `
    budget U limit=5 type=user id=ann
    hold r1 5 user=ann  -> held
  `,
  "a hold is in all budgets that apply, or in none": `
    budget G limit=100
    budget T limit=10 type=team id=red
    budget U limit=5 type=user id=ann
    budget X limit=1 type=user id=bob
    hold r1 6 team=red user=ann -> refused U by 1
    see G               -> spent 0, held 0, left 100
    see T               -> spent 0, held 0, left 10
    hold r2 5 team=red user=ann -> held
    see G               -> spent 0, held 5, left 95
    see T               -> spent 0, held 5, left 5
    see U               -> spent 0, held 5, left 0
    see X               -> spent 0, held 0, left 1
    hold r3 6 team=red user=ann -> refused T by 1, U by 6
  `,
  "every type of budget matches its own field": `
    budget team type=team id=x limit=1
    budget user type=user id=x limit=1
    budget project type=project id=x limit=1
    budget feature type=feature id=x limit=1
    budget provider type=provider id=x limit=1
    budget model type=model id=x limit=1
    budget agent type=agent id=x limit=1
    budget operation type=operation id=x limit=1
    budget workflow type=workflow id=x limit=1
    budget conversation type=conversation id=x limit=1
    hold a cost=2 team=x          -> refused team by 1
    hold a cost=2 user=x          -> refused user by 1
    hold a cost=2 project=x       -> refused project by 1
    hold a cost=2 feature=x       -> refused feature by 1
    hold a cost=2 provider=x      -> refused provider by 1
    hold a cost=2 model=x         -> refused model by 1
    hold a cost=2 agent=x         -> refused agent by 1
    hold a cost=2 operation=x     -> refused operation by 1
    hold a cost=2 workflow=x      -> refused workflow by 1
    hold a cost=2 conversation=x  -> refused conversation by 1
    hold a cost=2 team=y user=y project=y -> held
  `,
  "several budgets of one entity all apply": `
    budget D limit=10 type=user id=ann period=daily
    budget M limit=12 type=user id=ann period=monthly
    budget T limit=6 type=user id=ann measure=tokens
    hold r1 7 user=ann  -> refused T by 1
    hold r1 6 user=ann  -> held
    hold r2 5 user=ann  -> refused D by 1, T by 5
    see M               -> spent 0, held 6, left 6
  `,
  "nobody's budget applies: it may": `
    hold r1 1000000     -> held
    post r1 1000000     -> posted 1000000
    total               -> requests 1, tokens 1000000, cost 1000000
  `,
  "only looking holds nothing": `
    budget A limit=10
    hold r1 10 look=yes     -> may
    hold r1 11 look=yes     -> refused A by 1
    see A               -> spent 0, held 0, left 10
    hold r1 10          -> held
  `
})

stories("the same request_id again", {
  "open: the same hold, and nothing more is held": `
    budget A limit=10
    hold r1 6           -> held
    hold r1 6           -> held
    see A               -> spent 0, held 6, left 4
  `,
  "open, with other content: a conflict": `
    hold r1 6           -> held
    hold r1 7           -> Conflict request_reused_with_different_content
    hold r1 6 team=red  -> Conflict request_reused_with_different_content
    hold r1 6 ttl=1m    -> Conflict request_reused_with_different_content
    hold r1 6           -> held
  `,
  "posted: a conflict": `
    hold r1 6           -> held
    post r1 6           -> posted 6
    hold r1 6           -> Conflict hold_already_posted
  `,
  "reported without a hold: a conflict as well": `
    post r1 6           -> posted 6
    hold r1 6           -> Conflict hold_already_posted
  `,
  "released: decided afresh, with other content too": `
    budget A limit=10
    hold r1 6           -> held
    release r1          -> released
    hold r1 10          -> held
    see A               -> spent 0, held 10, left 0
  `,
  "expired: decided afresh": `
    budget A limit=10
    hold r1 6 ttl=1m    -> held
    wait 1m
    hold r2 5           -> held
    hold r1 6           -> refused A by 1
    hold r1 5           -> held
  `,
  "refused: decided afresh": `
    budget A limit=10
    hold r1 11          -> refused A by 1
    hold r1 10          -> held
  `
})

stories("the end of a hold", {
  "release gives everything back, once": `
    budget A limit=10
    budget T limit=10 measure=tokens
    budget Q limit=1 measure=requests
    hold r1 10          -> held
    release r1          -> released
    see A               -> spent 0, held 0, left 10
    see T               -> spent 0, held 0, left 10
    see Q               -> spent 0, held 0, left 1
    release r1          -> released
    see A               -> spent 0, held 0, left 10
  `,
  "lesson 2: expiry gives everything back at its moment, not before": `
    budget A limit=10
    hold r1 10 ttl=10m  -> held
    wait 599999ms
    see A               -> spent 0, held 10, left 0
    wait 1ms
    see A               -> spent 0, held 0, left 10
    release r1          -> released
    alerts              -> hold_unsettled
  `,
  "a hold's default life is ten minutes": `
    budget A limit=10
    hold r1 10          -> held
    wait 599999ms
    hold r2 1           -> refused A by 1
    wait 1ms
    hold r2 1           -> held
  `,
  "expiry by the arrival of a signal: no timer has to run before": `
    budget A limit=10
    hold r1 10 ttl=1s   -> held
    wait 1d
    hold r2 10          -> held
  `,
  "holds expire in the order of their deadlines": `
    budget A limit=100
    hold r1 1 ttl=3m    -> held
    hold r2 2 ttl=1m    -> held
    hold r3 4 ttl=2m    -> held
    hold r4 8 ttl=1m    -> held
    wait 1m
    see A               -> spent 0, held 5, left 95
    wait 1m
    see A               -> spent 0, held 1, left 99
    wait 1m
    see A               -> spent 0, held 0, left 100
  `,
  "an expired hold raises hold_unsettled only if its call never reported": `
    hold r1 10 ttl=1m   -> held
    hold r2 10 ttl=1m   -> held
    hold r3 10 ttl=1m   -> held
    hold r4 10 ttl=1m   -> held
    post r2 4 settle=no -> posted 4
    post r3 4           -> posted 4
    release r4          -> released
    wait 1m
    alerts              -> hold_unsettled
  `,
  "posted: cannot be released or extended": `
    hold r1 10          -> held
    post r1 4           -> posted 4
    release r1          -> Conflict hold_already_posted
    extend r1 tokens=1  -> Conflict hold_already_posted
  `,
  "another app key's hold does not exist": `
    hold r1 10 key=one  -> held
    release r1 key=two  -> NotFound
    extend r1 tokens=1 key=two -> NotFound
    release r1 key=one  -> released
    release r1 key=two  -> NotFound
    hold r2 10 key=one  -> held
    release r2          -> released
  `,
  "a hold that never was": `
    release hold_1.r1   -> NotFound
    release nonsense    -> NotFound
    extend hold_1.r1 tokens=1 -> NotFound
    hold r1 10          -> held
    release hold_zz.r1  -> NotFound
  `,
  "the hold before the last one of a request is gone": `
    budget A limit=10
    hold r1 6 as=first  -> held
    release first       -> released
    hold r1 5 as=second -> held
    release first       -> NotFound
    see A               -> spent 0, held 5, left 5
  `
})

stories("extending a hold", {
  "more room is asked of every budget that the hold is in": `
    budget A limit=10
    budget T limit=8 measure=tokens
    budget Q limit=1 measure=requests
    hold r1 5           -> held
    extend r1 tokens=3  -> held
    see A               -> spent 0, held 8, left 2
    see T               -> spent 0, held 8, left 0
    see Q               -> spent 0, held 1, left 0
    extend r1 tokens=3  -> refused A by 1, T by 3
    see A               -> spent 0, held 8, left 2
    extend r1 cost=2    -> held
    see A               -> spent 0, held 10, left 0
    post r1 8           -> posted 8, alerts A:50 A:80 T:50 T:80 T:90 T:100 Q:50 Q:80 Q:90 Q:100
    see A               -> spent 8, held 0, left 2
    see T               -> spent 8, held 0, left 0
  `,
  "more time: never less": `
    budget A limit=10
    hold r1 5 ttl=10m   -> held
    extend r1 ttl=1m    -> held
    wait 9m
    see A               -> spent 0, held 5, left 5
    extend r1 ttl=5m    -> held
    wait 4m
    see A               -> spent 0, held 5, left 5
    wait 1m
    see A               -> spent 0, held 0, left 10
    extend r1 ttl=5m    -> Conflict hold_already_released
  `,
  "more time is given where a budget has been overrun meanwhile: it asks for no money": `
    budget A limit=10
    budget Q limit=1 measure=requests
    hold r1 5           -> held
    post r0 20          -> posted 20, alerts A:50 A:80 A:90 A:100 Q:50 Q:80 Q:90 Q:100
    extend r1 ttl=20m   -> held
    extend r1 tokens=1  -> refused A by 16
    wait 19m
    see A               -> spent 20, held 5, left -15
  `,
  "a budget that the hold keeps nothing in is asked all the same": `
    budget T limit=5 measure=tokens
    hold r1 0           -> held
    extend r1 tokens=6  -> refused T by 1
    extend r1 tokens=5  -> held
    see T               -> spent 0, held 5, left 0
  `,
  "more tokens of a model without a price need a cost": `
    hold r1 5 model=nameless cost=5 -> held
    extend r1 tokens=1  -> InvalidParams by.cost
    extend r1 tokens=1 cost=1 -> held
  `
})

stories("estimates", {
  "a missing output estimate is the configured default": `
    budget T limit=5000 measure=tokens
    hold r1 in=904      -> held
    see T               -> spent 0, held 5000, left 0
    release r1          -> released
    configure output=96
    hold r2 in=904      -> held
    see T               -> spent 0, held 1000, left 4000
  `,
  "a total says how much output there is": `
    budget T limit=100 measure=tokens
    budget A limit=100
    hold r1 tokens=30   -> held
    hold r2 tokens=30 in=10 -> held
    hold r3 tokens=10 in=20 out=20 -> held
    see T               -> spent 0, held 100, left 0
    see A               -> spent 0, held 100, left 0
  `,
  "lesson 20: the estimate of a call equals its cost when the estimate's tokens are what is used": `
    budget A limit=1000
    hold r1 600 out=400 -> held
    see A               -> spent 0, held 1000, left 0
    post r1 600 out=400 -> posted 1000, alerts A:50 A:80 A:90 A:100
    see A               -> spent 1000, held 0, left 0
  `,
  "the caller's own estimate wins over the price": `
    budget A limit=10
    hold r1 500 cost=10 -> held
    see A               -> spent 0, held 10, left 0
  `
})

stories("soft, inactive and unpriced", {
  "a soft budget never refuses; it warns": `
    budget S limit=5 mode=soft
    budget H limit=8
    hold r1 5           -> held
    hold r2 1           -> held, warns S
    hold r3 3           -> refused H by 1
    see S               -> spent 0, held 6, left -1
    post r2 3           -> posted 3, overage 2, alerts S:50
    post r1 5           -> posted 5, alerts S:80 S:90 S:100 H:50 H:80 H:90 H:100
  `,
  "an inactive budget goes on counting, and refuses nobody": `
    budget A limit=5 mode=inactive
    hold r1 6           -> held
    post r1 6           -> posted 6
    see A               -> spent 6, held 0, left -1
    change A active=yes -> version 2
    hold r2 1           -> refused A by 2
    change A active=no  -> version 3
    hold r2 1           -> held
    see A               -> spent 6, held 1, left -2
  `,
  "a model without a price is refused where a hard cost budget applies": `
    budget A limit=100
    budget T limit=100 measure=tokens
    hold r1 5 model=nameless        -> refused, no price
    hold r1 5 model=nameless cost=5 -> held
    hold r2 5 provider= model= cost=1 -> held
    hold r3 5 provider= model=      -> InvalidParams estimated_cost
  `,
  "a model without a price is held by tokens where the policy records it": `
    configure unknown=record_unpriced
    budget A limit=100
    budget T limit=8 measure=tokens
    hold r1 5 model=nameless        -> held
    see A                           -> spent 0, held 0, left 100
    see T                           -> spent 0, held 5, left 3
    hold r2 5 model=nameless        -> refused T by 2
  `,
  "a model without a price is held where no hard cost budget applies": `
    budget S limit=100 mode=soft
    budget T limit=8 measure=tokens
    hold r1 5 model=nameless        -> held
    see T                           -> spent 0, held 5, left 3
  `
})
