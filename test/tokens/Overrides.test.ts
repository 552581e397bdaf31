/** Overrides as tables of money: who asks, who decides, the cap, and the clock. */
import { stories } from "./support/Story.ts"

stories("asking and deciding", {
  "a refused call is admitted once an override is approved": `
    budget A limit=100
    hold r1 100             -> held
    advice r2 20            -> available
    hold r2 20              -> refused A by 20
    ask o1 A 20             -> pending
    see A                   -> spent 0, held 100, left 0, pending 1
    advice r2 20            -> pending
    hold r2 20              -> refused A by 20
    approve o1              -> approved 20
    see A                   -> spent 0, held 100, left 20, override 20
    hold r2 20              -> held
    hold r3 1               -> refused A by 1
    post r2 20              -> posted 20
    see A                   -> spent 20, held 100, left 0, override 20`,
  "exactly what was approved is there, and one unit more is refused": `
    budget A limit=10
    ask o1 A 5              -> pending
    approve o1 4            -> approved 4
    hold r1 15              -> refused A by 1
    hold r2 14              -> held
    hold r3 1               -> refused A by 1`,
  "what is denied changes nothing": `
    budget A limit=10
    ask o1 A 5              -> pending
    deny o1                 -> denied
    see A                   -> spent 0, held 0, left 10
    hold r1 11              -> refused A by 1
    approve o1              -> Conflict override_already_decided
    deny o1                 -> Conflict override_already_decided`,
  "it is decided once, and the same decision again answers the first": `
    budget A limit=10
    ask o1 A 5 command=q1                -> pending
    ask o1 A 5 command=q1                -> pending
    see A                                -> spent 0, held 0, left 10, pending 1
    ask o1 A 4 command=q1                -> Conflict request_reused_with_different_content
    approve o1 3 command=d1              -> approved 3
    approve o1 3 command=d1              -> approved 3
    approve o1 3 command=d2              -> Conflict override_already_decided
    deny o1 command=d3                   -> Conflict override_already_decided
    see A                                -> spent 0, held 0, left 13, override 3
    ask o1 A 5 command=q1                -> pending
    overrides                            -> o1 approved 3`,
  "no more is approved than was asked for, nothing is not an amount, and what is denied has none": `
    budget A limit=100
    ask o1 A 20             -> pending
    approve o1 20.000000000001           -> InvalidParams amount
    approve o1 0            -> InvalidParams amount
    deny o1 5               -> InvalidParams amount
    ask o2 A 0              -> InvalidParams amount
    ask o3 A -1             -> InvalidParams amount
    approve o1 0.000000000001            -> approved 0.000000000001
    see A                   -> spent 0, held 0, left 100.000000000001, override 0.000000000001`,
  "several add up": `
    budget A limit=100
    ask o1 A 10             -> pending
    ask o2 A 7 by=cat       -> pending
    see A                   -> spent 0, held 0, left 100, pending 2
    approve o2 by=ann       -> approved 7
    approve o1 by=cat       -> approved 10
    see A                   -> spent 0, held 0, left 117, override 17
    overrides               -> o2 approved 7, o1 approved 10
    overrides pending       ->`,
  "budgets that are not there, not active, or of others": `
    budget A limit=100 mode=inactive
    ask o1 A 10             -> Conflict budget_inactive
    ask o1 nowhere 10       -> NotFound
    approve nowhere         -> NotFound
    change A active=yes     -> version 2
    ask o1 A 10             -> pending
    change A active=no      -> version 3
    approve o1              -> Conflict budget_inactive
    deny o1                 -> denied`,
  "thresholds follow what may be spent": `
    budget A limit=100 alerts=50
    ask o1 A 50             -> pending
    approve o1              -> approved 50
    post r1 60              -> posted 60
    post r2 15              -> posted 15, alerts A:50
    post r3 75              -> posted 75, alerts A:100`,
  "of two budgets, each says what an override could do": `
    budget A limit=100
    budget B limit=10 type=team id=red policy=0/budget_admin
    advice r1 140 team=red               -> available, none
    ask o1 A 50                          -> pending
    advice r1 140 team=red               -> pending, none
    approve o1                           -> approved 50
    advice r1 160 team=red               -> none, none`
})

stories("of a default", {
  "everybody has a room of their own": `
    budget D limit=10 type=user id=* policy=50/budget_admin
    ask o1 D 5                           -> InvalidParams entity_id
    ask o1 D 5 for=*                     -> InvalidParams entity_id
    ask o1 D 6 for=ann                   -> InvalidParams amount
    ask o1 D 5 for=ann                   -> pending
    advice r1 11 user=ann                -> pending
    advice r1 11 user=cat                -> available
    approve o1                           -> approved 5
    see D ann                            -> spent 0, held 0, left 15, override 5
    see D cat                            -> spent 0, held 0, left 10
    hold r1 15 user=ann                  -> held
    hold r2 11 user=cat                  -> refused D by 1
    overrides of=D                       -> o1 approved 5
    ask o2 D 5 for=cat until=1h          -> pending
    approve o2                           -> approved 5
    sleep 5d
    see D ann                            -> spent 0, held 0, left 10
    overrides of=D                       -> o2 expired 5, o1 expired 5`,
  "who has a budget of their own asks for that": `
    budget D limit=10 type=user id=*
    budget A limit=10 type=user id=ann
    ask o1 D 5 for=ann                   -> NotFound
    ask o1 A 5 for=cat                   -> NotFound
    ask o1 A 5 for=ann                   -> pending`
})

stories("the cap", {
  "a request that could never fit is refused, exactly at the cap it is not": `
    budget A limit=100 policy=50/budget_admin
    ask o1 A 50.000000000001             -> InvalidParams amount
    ask o1 A 50                          -> pending
    approve o1                           -> approved 50
    ask o2 A 0.000000000001              -> InvalidParams amount
    advice r1 151                        -> none`,
  "it caps the sum of a period, whoever comes first": `
    budget A limit=100 policy=50/budget_admin
    ask o1 A 30                          -> pending
    ask o2 A 30                          -> pending
    approve o1                           -> approved 30
    approve o2                           -> InvalidParams amount
    approve o2 20.000000000001           -> InvalidParams amount
    approve o2 20                        -> approved 20
    see A                                -> spent 0, held 0, left 150, override 50`,
  "what has expired still counts against it": `
    budget A limit=100 policy=50/budget_admin
    ask o1 A 30 until=1h                 -> pending
    approve o1                           -> approved 30
    wait 1h
    see A                                -> spent 0, held 0, left 100
    ask o2 A 21                          -> InvalidParams amount
    ask o2 A 20                          -> pending
    approve o2                           -> approved 20
    see A                                -> spent 0, held 0, left 120, override 20`,
  "each period has its own": `
    budget A limit=100 policy=50/at-once
    ask o1 A 50                          -> approved 50
    ask o2 A 1                           -> InvalidParams amount
    at 2026-03-11T00:00:00Z
    see A                                -> spent 0, held 0, left 100
    ask o2 A 50                          -> approved 50
    overrides                            -> o2 approved 50, o1 expired 50`,
  "it is of the limit and the policy of now": `
    budget A limit=100 policy=50/budget_admin
    ask o1 A 50                          -> pending
    change A limit=80                    -> version 2
    approve o1                           -> InvalidParams amount
    approve o1 40                        -> approved 40
    change A limit=10                    -> version 3
    see A                                -> spent 0, held 0, left 50, override 40
    ask o2 A 1                           -> InvalidParams amount
    change A policy=500/budget_admin     -> version 4
    ask o2 A 11                          -> InvalidParams amount
    ask o2 A 10                          -> pending`,
  "no percent, or no limit: no override": `
    budget A limit=100 policy=0/budget_admin
    budget B limit=0 policy=50/budget_admin
    ask o1 A 0.000000000001              -> InvalidParams amount
    ask o2 B 0.000000000001              -> InvalidParams amount
    advice r1 101                        -> none, none`,
  "a third of a cent is not lost": `
    budget A limit=0.000000000003 policy=50/at-once
    ask o1 A 0.000000000002              -> InvalidParams amount
    ask o1 A 0.000000000001              -> approved 0.000000000001`,
  "tokens come whole": `
    budget A limit=5 measure=tokens policy=50/at-once
    ask o1 A 2.5                         -> InvalidParams amount
    ask o1 A 3                           -> InvalidParams amount
    ask o1 A 2                           -> approved 2
    hold r1 8                            -> refused A by 1
    hold r1 7                            -> held`,
  "and requests": `
    budget A limit=2 measure=requests policy=100/budget_admin
    post r1 1                            -> posted 1, alerts A:50
    post r2 1                            -> posted 1, alerts A:80 A:90 A:100
    hold r3 1                            -> refused A by 1
    ask o1 A 1.5                         -> InvalidParams amount
    ask o1 A 2                           -> pending
    approve o1 1.5                       -> InvalidParams amount
    approve o1 1                         -> approved 1
    hold r3 1                            -> held
    hold r4 1                            -> refused A by 1`
})

stories("who decides", {
  "four eyes: the owner who asked cannot decide, whatever the key may": `
    budget A limit=100
    ask o1 A 20 by=ann                   -> pending
    approve o1 by=ann                    -> Forbidden
    deny o1 by=ann                       -> Forbidden
    approve o1 by=ann roles=admin        -> Forbidden
    approve o1 by=bob                    -> approved 20`,
  "the policy names roles": `
    budget A limit=100 policy=50/operator
    ask o1 A 20 by=ann                   -> pending
    approve o1 by=bob                    -> Forbidden
    approve o1 by=bob roles=budget_admin/operator -> approved 20`,
  "the policy names owners": `
    budget A limit=100 policy=50/cat/dan
    ask o1 A 20 by=ann                   -> pending
    approve o1 by=bob                    -> Forbidden
    approve o1 by=dan                    -> approved 20`,
  "an admin always may, also where the policy names nobody": `
    budget A limit=100 policy=50
    ask o1 A 20 by=ann                   -> pending
    approve o1 by=bob                    -> Forbidden
    approve o1 by=bob roles=admin        -> approved 20`,
  "nobody has to where the policy says so": `
    budget A limit=100 policy=50/at-once
    ask o1 A 20                          -> approved 20
    approve o1                           -> Forbidden
    approve o1 by=bob roles=admin        -> Conflict override_already_decided
    hold r1 120                          -> held`
})

stories("the end of an override", {
  "an approved one falls back when its time comes, and no hold is revoked": `
    budget A limit=100
    ask o1 A 20 until=1h                 -> pending
    approve o1                           -> approved 20
    hold r1 115                          -> held
    wait 59m
    see A                                -> spent 0, held 0, left 120, override 20
    hold r1 115 ttl=10h                  -> held
    wait 1m
    see A                                -> spent 0, held 115, left -15
    hold r2 1                            -> refused A by 16
    post r1 115                          -> posted 115, alerts A:50 A:80 A:90 A:100
    overrides                            -> o1 expired 20
    approve o1                           -> Conflict override_already_decided`,
  "by the millisecond": `
    budget A limit=100
    ask o1 A 20 until=2026-03-10T11:00:00Z -> pending
    approve o1                           -> approved 20
    at 2026-03-10T10:59:59.999Z
    hold r1 120 ttl=1ms                  -> held
    at 2026-03-10T11:00:00Z
    hold r2 120                          -> refused A by 20`,
  "a pending one cannot be decided any more": `
    budget A limit=100
    ask o1 A 20 until=1h                 -> pending
    overrides pending                    -> o1 pending 20
    wait 1h
    see A                                -> spent 0, held 0, left 100
    approve o1                           -> Conflict override_expired
    deny o1                              -> Conflict override_expired
    overrides pending                    ->
    overrides expired                    -> o1 expired 20`,
  "with its period": `
    budget A limit=100
    ask o1 A 20                          -> pending
    ask o2 A 10                          -> pending
    approve o1                           -> approved 20
    at 2026-03-11T00:00:00Z
    see A                                -> spent 0, held 0, left 100
    hold r1 101                          -> refused A by 1
    approve o2                           -> Conflict override_expired
    overrides                            -> o2 expired 10, o1 expired 20`,
  "it never outlives its period": `
    budget A limit=100
    ask o1 A 20 until=2026-03-11T00:00:00.001Z -> InvalidParams expires_at
    ask o1 A 20 until=2026-03-10T10:00:00Z -> InvalidParams expires_at
    ask o1 A 20 until=2026-03-11T00:00:00Z -> pending
    ask o2 A 20 until=2026-03-10T10:00:00.001Z -> pending`,
  "a lifetime may go without end": `
    budget A limit=100 period=lifetime
    ask o1 A 20                          -> pending
    ask o2 A 10 until=24h                -> pending
    approve o1                           -> approved 20
    approve o2                           -> approved 10
    see A                                -> spent 0, held 0, left 130, override 30
    at 2027-03-10T00:00:00Z
    forget
    see A                                -> spent 0, held 0, left 120, override 20
    ask o3 A 21                          -> InvalidParams amount
    ask o3 A 20                          -> pending`,
  "late usage and open holds of its period still have it": `
    budget A limit=100 alerts=
    ask o1 A 20                          -> pending
    approve o1                           -> approved 20
    hold r1 110 ttl=24h                  -> held
    at 2026-03-11T01:00:00Z
    extend r1 cost=11                    -> refused A by 1
    extend r1 cost=10                    -> held
    post r1 119                          -> posted 119
    post r2 1 when=2026-03-10T11:00:00Z  -> posted 1, alerts A:100
    see A                                -> spent 0, held 0, left 100`,
  "it never rolls over": `
    budget A limit=100 roll=1000
    ask o1 A 50                          -> pending
    approve o1                           -> approved 50
    post r1 120                          -> posted 120, alerts A:50 A:80
    at 2026-03-11T00:00:00Z
    see A                                -> spent 0, held 0, left 100
    at 2026-03-12T00:00:00Z
    see A                                -> spent 0, held 0, left 200, carried 100`,
  "of a process that slept for days, everything is as the clock says": `
    budget A limit=100
    ask o1 A 20 until=1h                 -> pending
    ask o2 A 10                          -> pending
    approve o1                           -> approved 20
    sleep 10d
    overrides                            -> o2 expired 10, o1 expired 20
    approve o2                           -> Conflict override_expired
    see A                                -> spent 0, held 0, left 100
    forget
    ask o3 A 50                          -> pending`
})
