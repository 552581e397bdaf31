/** A tenant's books with one of everything in them, and ways to damage them behind the ledger's back. */
import { Effect } from "effect"
import type { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { Bookkeeper } from "./Bookkeeper.ts"

const DAY_MS = 24 * 3_600_000
const MODEL = { provider: "test", model: "dollar" }
const HOLD_TTL_MS = DAY_MS

/**
 * Two days, from 2026-03-10 10:00 UTC on. A token costs a dollar.
 * Usage 1 is r1 (8), posted; 2 is r2's first attempt (3), whose hold stays open; 3 an estimate of r3 (5), which 4
 * brings to 6; 5 is r5 (4), on the second day. r6 holds 7 and has not reported; r7 was released.
 */
export const makeBooks = (store: LedgerStore, tenant: string) =>
  Effect.gen(function* () {
    const keeper = yield* Bookkeeper.open(store, tenant)
    const budget = { period: "daily", limit: "30", alert_thresholds: [40] } as const
    yield* keeper.done("create_budget", { ...budget, name: "all", type: "global", rollover: { max: "20" } })
    yield* keeper.done("create_budget", {
      ...budget,
      name: "tokens of ann",
      type: "user",
      entity_id: "ann",
      measure: "tokens",
      limit: "1000"
    })
    yield* keeper.done("create_budget", {
      ...budget,
      name: "everybody",
      type: "team",
      entity_id: "*",
      limit: "50"
    })
    const ask = (request_id: string, tokens: number) =>
      keeper.done("check_budget", {
        request_id,
        ...MODEL,
        estimated_prompt_tokens: tokens,
        max_completion_tokens: 0,
        hold_ttl_ms: HOLD_TTL_MS,
        user_id: "ann"
      })
    const track = (request_id: string, tokens: number, more: object = {}) =>
      keeper.done("track_usage", {
        request_id,
        ...MODEL,
        prompt_tokens: tokens,
        completion_tokens: 0,
        ...more
      })
    yield* ask("r1", 10)
    yield* track("r1", 8)
    yield* ask("r2", 6)
    yield* track("r2", 3, { settle: false })
    yield* track("r3", 5, { status: "estimated", team_id: "red", settle: false })
    yield* track("r3", 6, { team_id: "red" })
    const held = (yield* ask("r7", 1)) as { readonly hold_id: string }
    yield* keeper.done("release_hold", { hold_id: held.hold_id })
    const wish = { budget_id: "budget_2", amount: "10", reason: "a long day" }
    const { override_id } = yield* keeper.done("request_override", wish)
    yield* keeper.done("decide_override", { override_id, decision: "approve" }, "somebody else")
    keeper.now += 20 * 3_600_000
    yield* track("r5", 4, { user_id: "bob" })
    yield* ask("r6", 7)
    yield* keeper.done("update_budget", { budget_id: "budget_2", updates: { limit: "2000" } })
  })

/** SQL that changes one thing; every row has its tenant. */
export type Damage = (tenant: string) => string

const set =
  (table: string, where: string, change: string): Damage =>
  (tenant) =>
    `UPDATE ${table} SET ${change} WHERE tenant = '${tenant}' AND ${where}`

const drop =
  (table: string, where: string): Damage =>
  (tenant) =>
    `DELETE FROM ${table} WHERE tenant = '${tenant}' AND ${where}`

const CONTENT = ["at", "action", "subject", "salt", "body", "digest", "hash"]

/** What is in two entries changes places. */
const SWAPPED: Damage = (tenant) =>
  `UPDATE audit a SET ${CONTENT.map((name) => `${name} = b.${name}`).join(", ")} FROM audit b
WHERE a.tenant = '${tenant}' AND b.tenant = a.tenant AND a.audit_seq IN (2, 3) AND b.audit_seq = 5 - a.audit_seq`

const DAY_1 = "2026-03-10T00:00:00.000Z"
const DAY_2 = "2026-03-11T00:00:00.000Z"
const period = (key: string, start: string) => `budget_id = '${key}' AND period_start = '${start}'`

/** What is done, and every line that is said about it; hashes are `#`. */
export const DAMAGES: ReadonlyArray<readonly [what: string, damage: Damage, found: ReadonlyArray<string>]> = [
  [
    "a cost",
    set("usage", "usage_seq = 1", "cost = 9"),
    [
      "usage usage_seq 1: cost is 9, should be 8",
      "budget_period budget_1 from 2026-03-10T00:00:00.000Z: spent is 17, should be 18",
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: carried_over is 10, should be 9",
      "tenant_head damaged: cost is 21, should be 22"
    ]
  ],
  [
    "a cost line",
    set("usage", "usage_seq = 1", `detail = replace(detail, '"8"', '"7"')`),
    [
      "usage usage_seq 1: cost_breakdown[0].cost is 7, should be 8",
      "usage usage_seq 1: cost is 8, should be 7"
    ]
  ],
  [
    "a count",
    set("usage", "usage_seq = 5", "prompt_tokens = 5"),
    ["usage usage_seq 5: total_tokens is 4, should be 5"]
  ],
  [
    "a total",
    set("usage", "usage_seq = 5", "total_tokens = 5"),
    [
      "usage usage_seq 5: total_tokens is 5, should be 4",
      "usage usage_seq 5: cost_breakdown is 4 tokens, should be 5 tokens",
      "tenant_head damaged: tokens is 21, should be 22"
    ]
  ],
  [
    "what an adjustment's lines are about",
    set("usage", "usage_seq = 4", `detail = replace(detail, '"input",1', '"input",2')`),
    [
      "usage usage_seq 4: cost_breakdown[0].cost is 1, should be 2",
      "usage usage_seq 4: cost_breakdown is 2 tokens, should be 1 tokens"
    ]
  ],
  [
    "what waits for a price",
    (tenant) => `INSERT INTO unpriced_usage VALUES ('${tenant}', 'test', 'dollar', '${DAY_1}', 1, 'r1')`,
    ["unpriced_usage damaged: rows is 1, should be 0"]
  ],
  [
    "who it was for",
    set("usage", "usage_seq = 1", "user_id = 'bob'"),
    ["budget_period budget_2 from 2026-03-10T00:00:00.000Z: spent is 11, should be 3"]
  ],
  [
    "when it was booked",
    set("usage", "usage_seq = 1", `booked_at = '${DAY_2}'`),
    [
      "budget_period budget_1 from 2026-03-10T00:00:00.000Z: spent is 17, should be 9",
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: spent is 4, should be 12",
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: carried_over is 10, should be 18",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: spent is 11, should be 3",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: spent is 0, should be 8"
    ]
  ],
  [
    "a detail that cannot be read",
    set("usage", "usage_seq = 1", "detail = '{'"),
    [
      "usage usage_seq 1: row is unreadable: Expected property name or '}' in JSON at position 1 (line 1 column 2), should be a usage",
      "budget_period budget_1 from 2026-03-10T00:00:00.000Z: spent is 17, should be 9",
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: carried_over is 10, should be 18",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: spent is 11, should be 3",
      "tenant_head damaged: tracked is 4, should be 3",
      "tenant_head damaged: tokens is 21, should be 13",
      "tenant_head damaged: cost is 21, should be 13",
      "usage usage_seq 1: row is nothing, should be attempt 1 of request_id r1"
    ]
  ],
  [
    "a row is gone",
    drop("usage", "usage_seq = 5"),
    [
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: spent is 4, should be 0",
      "usage usage_seq 5: row is nothing, should be a row",
      "tenant_head damaged: tracked is 4, should be 3",
      "tenant_head damaged: tokens is 21, should be 17",
      "tenant_head damaged: cost is 21, should be 17",
      "usage usage_seq 5: row is nothing, should be attempt 1 of request_id r5"
    ]
  ],
  [
    "a row is counted as a request",
    set("usage", "usage_seq = 4", "requests = 1"),
    ["tenant_head damaged: tracked is 4, should be 5", "usage usage_seq 4: requests is 1, should be 0"]
  ],
  [
    "a row has another number",
    set("usage", "usage_seq = 5", "usage_seq = 7"),
    [
      "usage usage_seq 5 to 6: row is nothing, should be 2 rows",
      "request request_id r5: attempt 1 is nothing, should be usage_seq 7",
      "tenant_head damaged: usage_seq is 5, should be 7",
      "usage usage_seq 5: row is nothing, should be attempt 1 of request_id r5"
    ]
  ],
  [
    "tracked",
    set("tenant_head", "true", "tracked = tracked + 1"),
    ["tenant_head damaged: tracked is 5, should be 4"]
  ],
  [
    "tokens",
    set("tenant_head", "true", "tokens = tokens - 1"),
    ["tenant_head damaged: tokens is 20, should be 21"]
  ],
  [
    "the total cost",
    set("tenant_head", "true", "cost = cost + 0.000000000001"),
    ["tenant_head damaged: cost is 21.000000000001, should be 21"]
  ],
  [
    "usage_seq of the head",
    set("tenant_head", "true", "usage_seq = 6"),
    ["usage usage_seq 6: row is nothing, should be a row"]
  ],
  [
    "id_seq of the head",
    set("tenant_head", "true", "id_seq = 2"),
    ["tenant_head damaged: id_seq is 2, should be 3 or more"]
  ],
  [
    "alert_seq of the head",
    set("tenant_head", "true", "alert_seq = alert_seq - 1"),
    ["tenant_head damaged: alert_seq is 1, should be 2"]
  ],
  [
    "spent",
    set("budget_period", period("budget_1", DAY_1), "spent = spent + 1"),
    ["budget_period budget_1 from 2026-03-10T00:00:00.000Z: spent is 18, should be 17"]
  ],
  [
    "spent of a standing",
    set("budget_period", period("budget_3/red", DAY_1), "spent = 5"),
    ["budget_period budget_3/red from 2026-03-10T00:00:00.000Z: spent is 5, should be 6"]
  ],
  [
    "held",
    set("budget_period", period("budget_1", DAY_2), "held = 0"),
    ["budget_period budget_1 from 2026-03-11T00:00:00.000Z: held is 0, should be 7"]
  ],
  [
    "carried over",
    set("budget_period", period("budget_1", DAY_2), "carried_over = 4"),
    ["budget_period budget_1 from 2026-03-11T00:00:00.000Z: carried_over is 4, should be 10"]
  ],
  [
    "what overrides add",
    set("budget_period", period("budget_2", DAY_1), "override_total = 0"),
    ["budget_period budget_2 from 2026-03-10T00:00:00.000Z: override_total is 0, should be 10"]
  ],
  [
    "an override",
    set("budget_override", "true", "approved_amount = 9"),
    ["budget_period budget_2 from 2026-03-10T00:00:00.000Z: override_total is 10, should be 9"]
  ],
  [
    "a period is gone",
    drop("budget_period", period("budget_2", DAY_1)),
    [
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: spent is nothing, should be 11",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: held is nothing, should be 3",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: override_total is nothing, should be 10"
    ]
  ],
  [
    "a budget is gone",
    drop("budget", "budget_id = 'budget_2'"),
    [
      "hold_page journal_seq 6, request_id r2: booking is budget_2, should be a budget that is there",
      "hold_page journal_seq 14, request_id r6: booking is budget_2, should be a budget that is there",
      "budget_period budget_2: budget_id is budget_2, should be a budget that is there",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: held is nothing, should be 3",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: held is nothing, should be 7",
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: override_total is nothing, should be 10"
    ]
  ],
  [
    "whom a budget is about",
    set("budget", "budget_id = 'budget_2'", "entity_id = 'bob'"),
    [
      "budget_period budget_2 from 2026-03-10T00:00:00.000Z: spent is 11, should be 0",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: spent is 0, should be 4"
    ]
  ],
  [
    "a request is gone",
    drop("request", "request_id = 'r1'"),
    ["request request_id r1: attempt 1 is nothing, should be usage_seq 1"]
  ],
  [
    "what a request names",
    set("request", "request_id = 'r1'", "attempts = replace(attempts, ',1,0]', ',2,0]')"),
    [
      "request request_id r1: attempt 1 is nothing, should be usage_seq 1",
      "usage usage_seq 2: request_id is r2, should be r1"
    ]
  ],
  [
    "a request's attempts are gone",
    set("request", "request_id = 'r1'", "attempts = NULL"),
    [
      "request request_id r1: attempt 1 is nothing, should be usage_seq 1",
      "request request_id r1: state is posted, should be released or expired: no attempt was recorded"
    ]
  ],
  [
    "a request's state",
    set("request", "request_id = 'r7'", "state = 'posted'"),
    ["request request_id r7: state is posted, should be released or expired: no attempt was recorded"]
  ],
  [
    "a request is open without a page",
    set("request", "request_id = 'r7'", "state = 'held'"),
    ["request request_id r7: state is held, should be posted, released or expired"]
  ],
  [
    "when a hold ended",
    set("request", "request_id = 'r1'", "ended_in = 1000"),
    ["request request_id r1: ended_in is 1000, should be a batch before 16"]
  ],
  [
    "a hold's amount",
    set("hold_page", `holds LIKE '%"r6"%'`, `holds = replace(holds, '"7"]', '"6"]')`),
    [
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: held is 7, should be 6",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: held is 7, should be 6"
    ]
  ],
  [
    "a page is gone",
    drop("hold_page", `holds LIKE '%"r6"%'`),
    [
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: held is 7, should be 0",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: held is 7, should be 0"
    ]
  ],
  [
    "a page that cannot be read",
    set("hold_page", `holds LIKE '%"r6"%'`, "holds = 'x'"),
    [
      "hold_page journal_seq 14: holds is unreadable: Unexpected token 'x', \"x\" is not valid JSON, should be holds",
      "budget_period budget_1 from 2026-03-11T00:00:00.000Z: held is 7, should be 0",
      "budget_period budget_2 from 2026-03-11T00:00:00.000Z: held is 7, should be 0"
    ]
  ],
  [
    "an alert is gone",
    drop("alert", "alert_seq = 1"),
    ["alert alert_seq 1: row is nothing, should be a row"]
  ],
  [
    "an audit body",
    set("audit", "audit_seq = 2", "body = replace(body, '1000', '9000')"),
    ["audit audit_seq 2: body is hashed to #, should be hashed to #"]
  ],
  [
    "an audit column",
    set("audit", "audit_seq = 2", "owner = 'nobody'"),
    ["audit audit_seq 2: owner is nobody, should be admin"]
  ],
  [
    "an audit hash",
    set("audit", "audit_seq = 2", "hash = repeat('0', 64)"),
    ["audit audit_seq 2: hash is #, should be #"]
  ],
  [
    "an audit digest",
    set("audit", "audit_seq = 2", "digest = repeat('0', 64)"),
    [
      "audit audit_seq 2: body is hashed to #, should be hashed to #",
      "audit audit_seq 2: hash is #, should be #"
    ]
  ],
  [
    "an audit entry is gone",
    drop("audit", "audit_seq = 2"),
    ["audit audit_seq 2: row is nothing, should be a row"]
  ],
  [
    "the last audit entry is gone",
    drop("audit", "audit_seq = 4"),
    ["audit audit_seq 4: row is nothing, should be a row"]
  ],
  [
    "audit entries have changed places",
    SWAPPED,
    [
      "audit audit_seq 2: hash is #, should be #",
      "audit audit_seq 3: hash is #, should be #",
      "audit audit_seq 4: hash is #, should be #"
    ]
  ],
  [
    "a salt is gone, and the body is not",
    set("audit", "audit_seq = 2", "salt = NULL"),
    ["audit audit_seq 2: salt is nothing, should be the salt of its body"]
  ],
  [
    "the head of the chain",
    set("tenant_head", "true", "audit_hash = repeat('0', 64)"),
    ["tenant_head damaged: audit_hash is #, should be #"]
  ]
]
