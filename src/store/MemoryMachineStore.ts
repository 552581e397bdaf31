/**
 * Durable machines in memory: for tests, and for a runtime without a store.
 *
 * Owns: the same promises as the tables, but for surviving the process.
 */
import { Effect } from "effect"
import type { MachineTexts, Mentioning } from "../actor/MachineRewriting.ts"
import {
  type ClaimedMachine,
  type MachineClaim,
  type MachineCommit,
  MachineFenced,
  type MachineRow,
  type MachineStore,
  type OutgoingSignal,
  type SeenSignal,
  type StoredFact
} from "../actor/MachineStore.ts"

interface Head {
  readonly tenant: string
  readonly address: string
  readonly kind: string
  owner: string
  epoch: number
  commitId: string | undefined
  row: MachineRow | undefined
  outgoing: ReadonlyArray<OutgoingSignal>
  readonly seen: Map<string, SeenSignal>
}

interface Feed {
  last: number
  facts: ReadonlyArray<StoredFact>
}

const byAddress = (a: { readonly address: string }, b: { readonly address: string }): number =>
  a.address < b.address ? -1 : a.address > b.address ? 1 : 0

const byMoment = (
  a: { readonly wakesAt: number; readonly address: string },
  b: { readonly wakesAt: number; readonly address: string }
): number => a.wakesAt - b.wakesAt || byAddress(a, b)

const hasEnded = (row: MachineRow): boolean => row.status === "done" || row.status === "failed"

/** The rows. Whoever shares the object shares the data. */
export class MemoryMachines {
  readonly heads = new Map<string, Head>()
  readonly feeds = new Map<string, Feed>()
  /** Addresses where nothing begins any more. */
  readonly removed = new Set<string>()

  claim(machine: Pick<Head, "tenant" | "address" | "kind">, owner: string): ClaimedMachine {
    const head = this.heads.get(machine.address) ?? {
      ...machine,
      owner,
      epoch: 0,
      commitId: undefined,
      row: undefined,
      outgoing: [],
      seen: new Map<string, SeenSignal>()
    }
    this.heads.set(machine.address, head)
    head.owner = owner
    head.epoch += 1
    return {
      claim: { tenant: head.tenant, address: head.address, owner, epoch: head.epoch },
      row: head.row,
      commitId: head.commitId ?? null,
      wasRemoved: this.removed.has(head.address),
      outgoing: head.outgoing,
      seen: [...head.seen.values()]
    }
  }

  /** The head of a claim that still holds. */
  held({ address, owner, epoch }: MachineClaim): Head | undefined {
    const head = this.heads.get(address)
    return head?.owner === owner && head.epoch === epoch ? head : undefined
  }

  /** Whether it was written. */
  commit(claim: MachineClaim, commit: MachineCommit): boolean {
    const head = this.held(claim)
    if (head === undefined || (head.row?.revision ?? 0) !== commit.revision) return false
    const { status, state, reason, about, version, snapshot, wakesAt, at } = commit
    const { tenant, address, kind } = head
    head.commitId = commit.id
    head.row = {
      ...{ tenant, address, kind, status, state, reason, about, version, snapshot, wakesAt },
      revision: commit.nextRevision,
      createdAt: head.row?.createdAt ?? at,
      updatedAt: at
    }
    head.outgoing = [...head.outgoing, ...commit.outgoing]
    for (const id of commit.forgotten) head.seen.delete(id)
    for (const mark of commit.seen) {
      head.seen.delete(mark.id)
      head.seen.set(mark.id, mark)
    }
    const feed = this.feedOf(tenant)
    feed.facts = [...feed.facts, ...commit.facts.map((fact) => ({ ...fact, seq: ++feed.last, address, at }))]
    return true
  }

  feedOf(tenant: string): Feed {
    const feed = this.feeds.get(tenant) ?? { last: 0, facts: [] }
    this.feeds.set(tenant, feed)
    return feed
  }

  /** What has been committed, by address. */
  rows(): ReadonlyArray<MachineRow> {
    return Array.from(this.heads.values())
      .flatMap(({ row }) => (row === undefined ? [] : [row]))
      .sort(byAddress)
  }

  /** Those of a tenant that come next, as text. */
  textsAfter({ tenant, after, limit }: Mentioning<string>): ReadonlyArray<MachineTexts> {
    return this.rows()
      .filter((row) => row.tenant === tenant && row.address > after)
      .slice(0, limit)
      .map((row) => ({
        address: row.address,
        hasEnded: hasEnded(row),
        revision: row.revision,
        reason: row.reason,
        snapshot: row.snapshot,
        about: JSON.stringify(row.about),
        outgoing: (this.heads.get(row.address)?.outgoing ?? []).map(({ seq, params }) => ({
          seq,
          params: JSON.stringify(params)
        }))
      }))
  }

  rewrite({ address, revision, reason, about, snapshot, outgoing }: MachineTexts): boolean {
    const head = this.heads.get(address)
    if (head?.row?.revision !== revision) return false
    head.owner = ""
    head.epoch += 1
    head.row = { ...head.row, reason, about: JSON.parse(about), snapshot }
    const params = new Map(outgoing.map((sent) => [sent.seq, sent.params]))
    head.outgoing = head.outgoing.map((sent) => {
      const text = params.get(sent.seq)
      return text === undefined ? sent : { ...sent, params: JSON.parse(text) }
    })
    return true
  }

  /** The oldest first. */
  endedBefore(tenant: string, before: number): ReadonlyArray<MachineRow> {
    return this.rows()
      .filter((row) => row.tenant === tenant && hasEnded(row) && row.updatedAt < before)
      .filter(({ address }) => !this.owes(address))
      .sort((a, b) => a.updatedAt - b.updatedAt)
  }

  owes(address: string): boolean {
    return (this.heads.get(address)?.outgoing.length ?? 0) > 0
  }
}

/** The port over rows in memory. */
export const memoryMachineStore = (machines: MemoryMachines = new MemoryMachines()): MachineStore => ({
  claim: (machine, owner) => Effect.sync(() => machines.claim(machine, owner)),
  commit: (claim, commit) =>
    Effect.suspend(() =>
      machines.commit(claim, commit)
        ? Effect.void
        : Effect.fail(new MachineFenced({ address: claim.address }))
    ),
  resolve: (claim, commitId) =>
    Effect.suspend(() => {
      const head = machines.heads.get(claim.address)
      if (head?.owner !== claim.owner) return Effect.fail(new MachineFenced({ address: claim.address }))
      head.epoch += 1
      return Effect.succeed({
        claim: { ...claim, epoch: head.epoch },
        isWritten: head.commitId === commitId
      })
    }),
  isOwner: (claim) => Effect.sync(() => machines.held(claim) !== undefined),
  delivered: (address, seqs) =>
    Effect.sync(() => {
      const head = machines.heads.get(address)
      if (head !== undefined) head.outgoing = head.outgoing.filter(({ seq }) => !seqs.includes(seq))
    }),
  read: (address) => Effect.sync(() => machines.heads.get(address)?.row),
  list: ({ tenant, kind, statuses, after, limit }) =>
    Effect.sync(() =>
      machines
        .rows()
        .filter((row) => row.tenant === tenant && row.kind === kind)
        .filter(({ status }) => statuses?.includes(status) ?? true)
        .sort((a, b) => b.createdAt - a.createdAt || byAddress(a, b))
        .filter(
          (row) =>
            after === null ||
            row.createdAt < after.createdAt ||
            (row.createdAt === after.createdAt && row.address > after.address)
        )
        .slice(0, limit)
        .map(({ snapshot: _, ...entry }) => entry)
    ),
  due: ({ kinds, now, after, limit }) =>
    Effect.sync(() =>
      machines
        .rows()
        .flatMap(({ tenant, address, kind, wakesAt }) =>
          wakesAt === null || wakesAt > now ? [] : [{ tenant, address, kind, wakesAt }]
        )
        .filter(({ kind }) => kinds.includes(kind))
        .sort(byMoment)
        .filter((place) => after === null || byMoment(place, after) > 0)
        .slice(0, limit)
    ),
  owing: ({ kinds, after, limit }) =>
    Effect.sync(() => {
      const found = machines
        .rows()
        .filter(({ address }) => machines.owes(address) && (after === null || address > after))
        .slice(0, limit)
      return {
        machines: found
          .filter(({ kind }) => kinds.includes(kind))
          .map(({ tenant, address, kind }) => ({ tenant, address, kind })),
        next: found.length === limit ? (found.at(-1)?.address ?? null) : null
      }
    }),
  owingTo: (receiver, addresses) =>
    Effect.sync(() =>
      addresses.filter((address) => machines.heads.get(address)?.outgoing.some(({ to }) => to === receiver))
    ),
  open: ({ tenant, kind, after, limit }) =>
    Effect.sync(() =>
      machines
        .rows()
        .filter((row) => row.tenant === tenant && row.kind === kind && !hasEnded(row) && row.address > after)
        .slice(0, limit)
        .map(({ snapshot: _, ...entry }) => entry)
    ),
  openTenants: ({ kind, after, limit }) =>
    Effect.sync(() =>
      [
        ...new Set(
          machines.rows().flatMap((row) => (row.kind === kind && !hasEnded(row) ? [row.tenant] : []))
        )
      ]
        .filter((tenant) => tenant > after)
        .sort()
        .slice(0, limit)
    ),
  openCount: (tenant, kind) =>
    Effect.sync(
      () =>
        machines.rows().filter((row) => row.tenant === tenant && row.kind === kind && !hasEnded(row)).length
    ),
  facts: (tenant, afterSeq, limit) =>
    Effect.sync(() => {
      const { facts, last } = machines.feedOf(tenant)
      return {
        facts: facts.filter(({ seq }) => seq > afterSeq).slice(0, limit),
        removedTo: (facts[0]?.seq ?? last + 1) - 1
      }
    }),
  lastFactSeq: (tenant) => Effect.sync(() => machines.feedOf(tenant).last),
  removeFacts: (tenant, keep) =>
    Effect.sync(() => {
      const feed = machines.feedOf(tenant)
      feed.facts = feed.facts.filter(({ seq }) => seq > feed.last - keep)
    }),
  mentioning: (query) =>
    Effect.sync(() => {
      const read = machines.textsAfter(query)
      return {
        machines: read.filter(({ about, snapshot, outgoing }) =>
          [about, snapshot, ...outgoing.map(({ params }) => params)].some((text) => text.includes(query.text))
        ),
        next: read.length === query.limit ? (read.at(-1)?.address ?? null) : null
      }
    }),
  rewrite: (machine) => Effect.sync(() => machines.rewrite(machine)),
  factsMentioning: ({ tenant, text, after }) =>
    Effect.sync(() => ({
      facts: machines
        .feedOf(tenant)
        .facts.filter(({ seq }) => seq > after)
        .map(({ seq, body }) => ({ seq, body: JSON.stringify(body) }))
        .filter(({ body }) => body.includes(text)),
      next: null
    })),
  rewriteFacts: (tenant, facts) =>
    Effect.sync(() => {
      const bodies = new Map(facts.map(({ seq, body }) => [seq, body]))
      const feed = machines.feedOf(tenant)
      feed.facts = feed.facts.map((fact) => {
        const text = bodies.get(fact.seq)
        return text === undefined ? fact : { ...fact, body: JSON.parse(text) }
      })
    }),
  countEnded: (tenant, before) => Effect.sync(() => machines.endedBefore(tenant, before).length),
  removeEnded: (tenant, before, limit) =>
    Effect.sync(() => {
      const ended = machines.endedBefore(tenant, before).slice(0, limit)
      for (const { address } of ended) {
        machines.heads.delete(address)
        machines.removed.add(address)
      }
      return { removed: ended.length, isMore: ended.length === limit }
    }),
  removeOldFacts: (tenant, before) =>
    Effect.sync(() => {
      const feed = machines.feedOf(tenant)
      const last = feed.facts.findLastIndex(({ at }) => at < before)
      feed.facts = feed.facts.slice(last + 1)
    }),
  wasRemoved: (address) => Effect.sync(() => machines.removed.has(address))
})
