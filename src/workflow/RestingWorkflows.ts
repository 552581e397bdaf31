/**
 * Parked workflows that are at rest: rows, and a place in line.
 *
 * Owns: which of a tenant's workflows are put in line when the tenant has come to this node, what is asked then of their
 * budgets and of the keys that started them, and how one is brought back when it is its turn.
 * Does not decide: whose turn it is (RoomLine), or when a machine leaves memory (actor/).
 */
import { Effect, Schedule } from "effect"
import type { Address } from "../actor/Address.ts"
import type { Resting } from "../actor/DurableMachine.ts"
import type { MachineEntry, MachineStatus } from "../actor/MachineStore.ts"
import { type Conflict, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { KeyStandings, RoomNews, WorkflowPorts } from "./Ports.ts"
import type { Return, RoomLine, Wake } from "./RoomLine.ts"
import { budgetOf, type InLine, type Place } from "./RoomPlace.ts"
import { workflowAddress } from "./WorkflowAddress.ts"
import type { WorkflowContext } from "./WorkflowContext.ts"
import type { WorkflowAbout } from "./WorkflowView.ts"

/** Budgets, and keys, that are asked for when a tenant has come; those of more places are found by looking, one place after the other. */
const ASKED_MAX = 1_000
const ASKED_AT_ONCE = 8
const APPROVED_MAX = 1_000
const WAKE_TRIES = 3
/** Who is back takes its place at once, and its turn with it; others get the turn only where that takes longer than this. */
const ENTERS_MS = 200
/** Who does not take its place within this time is brought back again: its life may have ended before. */
const COMES_MS = 10_000
/** Who cannot be brought back is tried again after this time. */
const AWAY_MS = 5_000
/** Each time in vain, the pause is twice as long: so those that cannot come at all do not take the turns of the others. */
const PAUSE_MAX_MS = 900_000

/** What is kept of one that is parked; `undefined`: it waits for no room, or has to be back at once, whatever room there is. */
const inLineOf = ({ tenant, status, about, wakesAt }: MachineEntry): InLine | undefined => {
  const { workflow_id, parked, state, key_id } = about as unknown as WorkflowAbout
  // Where one of its agents waits for room, another's call may be under way.
  if (status !== "active" || state !== "parked" || parked === null || wakesAt === 0) return undefined
  const { agents, violations, overrides, since } = parked
  // Which budget has refused which of several steps is not listed: room in one of them is a reason to look.
  const refusals = agents.length === 1 ? [{ violations }] : violations.map((one) => ({ violations: [one] }))
  const at = { tenant, workflowId: workflow_id, keyId: key_id }
  return { ...at, since: Date.parse(since), overrides, refusals }
}

const insider = (tenant: string): Principal => ({
  ...{ keyId: "", owner: "", tenant, roles: ["admin"], attribution: {}, isInstallation: false }
})

const tried = <A>(effect: Effect.Effect<A, SignalError>): Effect.Effect<A | undefined, Unavailable> =>
  Effect.catch(effect, (error) =>
    error._tag === "Unavailable" || error._tag === "Overloaded"
      ? Effect.fail(new Unavailable({ message: error.message, retry_after_ms: 1_000 }))
      : Effect.succeed(undefined)
  )

/**
 * Which of the keys that started these have ended, as the store has them now: what was believed of a key here a moment ago
 * may be older than an end that was committed where the tenant has been until then.
 */
const endedKeysOf = (keys: KeyStandings, places: ReadonlyArray<Place>, tenant: string) =>
  Effect.map(
    Effect.forEach(
      [...new Set(places.map(({ keyId }) => keyId))].slice(0, ASKED_MAX),
      (keyId) =>
        Effect.map(keys.of({ ...insider(tenant), keyId }, 0), (standing) =>
          "ended" in standing ? [keyId] : []
        ),
      { concurrency: ASKED_AT_ONCE }
    ),
    (ended) => ended.flat()
  )

/**
 * Where the budgets stand that a tenant's places wait for, which of their overrides are approved, and which keys that
 * started one of them have ended.
 */
const newsFor = ({ money, keys: standingsOfKeys }: WorkflowPorts, line: RoomLine, tenant: string) =>
  Effect.gen(function* () {
    const places = [...line.placesOf(tenant)]
    const keys = [...new Set(places.flatMap((place) => [...place.keys()]))].slice(0, ASKED_MAX)
    const asking = places.filter(({ overrides }) => overrides.length > 0)
    const budgets = [
      ...new Set(asking.flatMap((place) => [...place.keys()].map((key) => budgetOf(key).budgetId)))
    ]
    const standings = yield* Effect.forEach(
      keys,
      (key) => {
        const { budgetId, entityId } = budgetOf(key)
        const entity = entityId === null ? {} : { entity_id: entityId }
        const payload = { budget_id: budgetId, include_inactive: true, ...entity }
        return Effect.map(tried(money.ask("get_budget_status", payload, insider(tenant))), (found) => {
          const standing = found?.budgets.find(({ entity_id }) => entity_id === entityId)
          return standing === undefined ? [] : [{ budgetId, entityId, remaining: standing.remaining }]
        })
      },
      { concurrency: ASKED_AT_ONCE }
    )
    const approved = yield* Effect.forEach(
      budgets.slice(0, ASKED_MAX),
      (budget_id) => {
        const payload = { status: "approved", budget_id, limit: APPROVED_MAX } as const
        return Effect.map(tried(money.ask("list_overrides", payload, insider(tenant))), (found) =>
          (found?.items ?? []).map(({ id }) => id)
        )
      },
      { concurrency: ASKED_AT_ONCE }
    )
    const news: RoomNews = {
      standings: standings.flat(),
      approved: approved.flat(),
      redefined: [],
      strict: [],
      hasNewPrices: false,
      endedKeys: yield* endedKeysOf(standingsOfKeys, places, tenant)
    }
    return news
  })

const idOf = ({ text, tenant }: Address): string => text.slice(workflowAddress(tenant ?? "", "").text.length)

/** What the machines' look for workflows tells the line. */
export const restingWorkflows = (ports: WorkflowPorts, line: RoomLine): Resting => ({
  found: (entry, hasChanged) => {
    const inLine = inLineOf(entry)
    if (inLine !== undefined) line.found(inLine, hasChanged)
  },
  complete: (tenant) =>
    Effect.suspend(() => {
      const isAnybodyThere = [...line.placesOf(tenant)].length > 0
      return isAnybodyThere
        ? Effect.map(newsFor(ports, line, tenant), (news) => line.tell(tenant, news))
        : Effect.void
    }),
  due: (address) => line.isDue(address.tenant ?? "", idOf(address)),
  gone: (isGone) => line.gone(isGone)
})

const UNREADABLE_RETRY_MS = 1_000

/** What is needed of the machines of workflows. */
interface Kind {
  readonly view: (address: Address) => Effect.Effect<
    | {
        readonly status: MachineStatus
        readonly snapshot: { readonly context: Pick<WorkflowContext, "parked"> }
      }
    | undefined,
    Conflict | Unavailable
  >
  readonly wake: (address: Address) => Effect.Effect<void, Unavailable>
}

/** What another version has left keeps its place: it is looked at again later. */
const unreadable = ({ message }: Conflict) =>
  Effect.fail(new Unavailable({ message, retry_after_ms: UNREADABLE_RETRY_MS }))

/** Brings one back, if it is parked still. */
const bringBack = (kind: Kind, tenant: string, workflowId: string): Effect.Effect<Return, Unavailable> =>
  Effect.gen(function* () {
    const address = workflowAddress(tenant, workflowId)
    const view = yield* Effect.catchTag(kind.view(address), "Conflict", unreadable)
    if (view === undefined || view.status !== "active" || view.snapshot.context.parked === null) return "over"
    yield* kind.wake(address)
    yield* Effect.sleep(ENTERS_MS)
    return "back"
  })

/** How long others go on before one is brought back again that has not come. */
const pauseMs = (how: "back" | "away", vain: number): number =>
  Math.min(PAUSE_MAX_MS, (how === "back" ? COMES_MS : AWAY_MS) * 2 ** vain)

/** `run`: runs an Effect beside everything else, for as long as the runtime lives. */
export const wakeBy =
  (kind: () => Kind | undefined, run: (effect: Effect.Effect<void>) => unknown): Wake =>
  (tenant, workflowId, onEnd, vain) => {
    const returned = Effect.suspend(() => {
      const known = kind()
      return known === undefined
        ? Effect.fail(new Unavailable({ message: "There are no workflows yet", retry_after_ms: 1_000 }))
        : bringBack(known, tenant, workflowId)
    }).pipe(
      Effect.retry({ times: WAKE_TRIES - 1, schedule: Schedule.spaced("1 second") }),
      // Whatever it was, the line goes on.
      Effect.catchCause((cause): Effect.Effect<Return> => {
        const isStore = cause.reasons.every(({ _tag }) => _tag === "Fail")
        const told = Effect.logError(`The workflow ${workflowId} could not be brought back`, cause)
        return Effect.as(isStore ? Effect.void : told, "away")
      })
    )
    const brought = Effect.gen(function* () {
      const how = yield* returned
      onEnd(how)
      if (how !== "back" && how !== "away") return
      yield* Effect.sleep(pauseMs(how, vain))
      onEnd("again")
    })
    run(brought)
  }
