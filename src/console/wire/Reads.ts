/**
 * What the page reads beside what it is told: lists, a bounded page after the other.
 *
 * Owns: which lists, and how much of each. Does not decide: when they are read (Follow), what they change (Reduce).
 */
import { BudgetType } from "../../signal/Budget.ts"
import type { SignalParams } from "../../signal/Catalogue.ts"
import { ACTORS_MAX, type Change, type WireActor, type WireBudget } from "../model/Model.ts"
import { isDefault } from "../model/Standings.ts"
import { type RpcClient, RpcFailure } from "./RpcClient.ts"

const PAGE = 1_000
const RECENT_USAGE = 200
/** Defaults whose standings are read; those of others are seen when they change. */
const DEFAULTS_MAX = 20
/** Workflows of one page, and of each state that is read however old it is. */
export const WORKFLOWS_PAGE = 200
const OVERRIDES_PAGE = 100
const OPEN_OVERRIDES = 500

/** Budgets that are read one by one. */
const BY_ID_MAX = 20

/** A default with too many standings lists none: whoever spends is seen when it happens. */
const readStandings = async (client: RpcClient, id: string): Promise<ReadonlyArray<WireBudget>> => {
  try {
    return (await client.request("get_budget_status", { budget_id: id })).budgets
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error
    return []
  }
}

interface Listed {
  readonly budgets: ReadonlyArray<WireBudget>
  readonly tooMany: ReadonlyArray<string>
}

/** The server lists no more than a thousand at once, and each workflow can bring one. */
const listBudgets = async (client: RpcClient): Promise<Listed> => {
  const list = (type: BudgetType | undefined) =>
    client.request("get_budget_status", { include_inactive: true, ...(type === undefined ? {} : { type }) })
  const isTooMany = (error: unknown) => error instanceof RpcFailure && error.tag === "InvalidParams"
  try {
    return { budgets: (await list(undefined)).budgets, tooMany: [] }
  } catch (error) {
    if (!isTooMany(error)) throw error
  }
  const tooMany: Array<string> = []
  const lists = await Promise.all(
    BudgetType.literals.map((type) =>
      list(type).catch((error: unknown) => {
        if (!isTooMany(error)) throw error
        tooMany.push(type)
        return { budgets: [] }
      })
    )
  )
  return { budgets: lists.flatMap(({ budgets }) => budgets), tooMany }
}

/** Budgets that an event named: each by its id. More than a few, and all of them are read. */
export const readSomeBudgets = async (client: RpcClient, asked: ReadonlyArray<string>): Promise<Change> => {
  if (asked.length > BY_ID_MAX) return readBudgets(client)
  const found = await Promise.all(asked.map((id) => readStandings(client, id)))
  return { kind: "budgets", budgets: found.flat(), isAll: false, asked }
}

/** All budgets, and who stands in the defaults among them: a list does not say that, a default's id does. */
export const readBudgets = async (client: RpcClient): Promise<Change> => {
  const { budgets, tooMany } = await listBudgets(client)
  const defaults = budgets.filter((budget) => budget.active && isDefault(budget)).slice(0, DEFAULTS_MAX)
  const standings = await Promise.all(defaults.map(({ id }) => readStandings(client, id)))
  return { kind: "budgets", budgets: [...budgets, ...standings.flat()], isAll: true, tooMany }
}

export const readStatus = async (client: RpcClient): Promise<Change> => ({
  kind: "status",
  status: await client.request("get_status", {})
})

export const readUsage = async (client: RpcClient): Promise<Change> => ({
  kind: "usage",
  answer: await client.request("get_usage", { limit: RECENT_USAGE })
})

export const readActors = async (client: RpcClient): Promise<Change> => {
  const actors: Array<WireActor> = []
  let cursor: string | null = null
  do {
    const params: { limit: number; cursor?: string } =
      cursor === null ? { limit: PAGE } : { limit: PAGE, cursor }
    const page: { readonly items: ReadonlyArray<WireActor>; readonly next_cursor: string | null } =
      await client.request("list_actors", params)
    actors.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null && actors.length < ACTORS_MAX)
  return { kind: "actors", actors, now: Date.now() }
}

/** The newest, and of those that are not over also older ones: what waits longest must not be missed. */
export const readWorkflows = async (client: RpcClient): Promise<Change> => {
  const read = (params: SignalParams<"list_workflows">) =>
    client.request("list_workflows", { ...params, limit: WORKFLOWS_PAGE })
  const [newest, ...others] = await Promise.all([
    read({}),
    read({ state: "parked" }),
    read({ state: "running" }),
    read({ state: "cancelling" })
  ])
  return {
    kind: "workflows",
    workflows: [...newest.items, ...others.flatMap(({ items }) => items)],
    more: newest.next_cursor
  }
}

/** The next page of older workflows. */
export const readOlderWorkflows = async (client: RpcClient, cursor: string): Promise<Change> => {
  const { items, next_cursor } = await client.request("list_workflows", { limit: WORKFLOWS_PAGE, cursor })
  return { kind: "workflows", workflows: items, more: next_cursor }
}

/** The newest, and of those that wait for a decision also older ones. */
export const readOverrides = async (client: RpcClient): Promise<Change> => {
  const [newest, open] = await Promise.all([
    client.request("list_overrides", { limit: OVERRIDES_PAGE }),
    client.request("list_overrides", { status: "pending", limit: OPEN_OVERRIDES })
  ])
  return { kind: "overrides", overrides: [...newest.items, ...open.items], more: newest.next_cursor }
}

export const readOlderOverrides = async (client: RpcClient, cursor: string): Promise<Change> => {
  const { items, next_cursor } = await client.request("list_overrides", { limit: OVERRIDES_PAGE, cursor })
  return { kind: "overrides", overrides: items, more: next_cursor }
}
