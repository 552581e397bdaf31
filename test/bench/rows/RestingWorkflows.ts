/**
 * Parked workflows in memory and at rest, on Postgres: what each keeps on the heap, how long it takes to bring one back, and what a
 * node that starts does with a hundred thousand of them.
 */
import assert from "node:assert/strict"
import { Context, Effect, Layer, ManagedRuntime, Redacted, References, Scope } from "effect"
import { ActorSystem, layer as actorLayer } from "../../../src/actor/ActorSystem.ts"
import type { DurableKind } from "../../../src/actor/DurableKind.ts"
import { DurableMachines, layer as machinesLayer } from "../../../src/actor/DurableMachines.ts"
import { SignalDelivery } from "../../../src/actor/SignalDelivery.ts"
import { serverLayer } from "../../../src/store/Postgres.ts"
import { machineStoreLayer } from "../../../src/store/SqlMachineStore.ts"
import { wakeBy } from "../../../src/workflow/RestingWorkflows.ts"
import { RoomLine } from "../../../src/workflow/RoomLine.ts"
import { type WorkflowProtocol, workflowActor } from "../../../src/workflow/WorkflowActor.ts"
import { workflowAddress } from "../../../src/workflow/WorkflowAddress.ts"
import type { WorkflowMachine } from "../../../src/workflow/WorkflowMachine.ts"
import { exceeded, FakePorts, violationOf } from "../../workflow/support/FakePorts.ts"
import { graph, inputOf } from "../../workflow/support/Graphs.ts"
import { type BenchDatabase, connect, openDatabase } from "../Database.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, number, percentile, type RowReport, sorted } from "../Figures.ts"
import { bytesOf } from "../Heap.ts"

interface Sizes {
  /** In memory, and then at rest. */
  readonly parked: number
  /** Rows that a node finds when it starts. */
  readonly found: number
  readonly returns: number
}

const SIZES: ByExtent<Sizes> = {
  whole: { parked: 1_000, found: 100_000, returns: 200 },
  smallest: { parked: 20, found: 200, returns: 5 }
}

/** Until those that have come into line have looked. */
const LOOKED = "3 seconds"
const AT_ONCE = 32
/** Rows of one statement: it has its timeout as any other. */
const COPIED_AT_ONCE = 2_500

/** A budget that has no room, whoever asks. */
const fullPorts = (): FakePorts => {
  const ports = new FakePorts()
    .script("check_budget", { allowed: false } as never)
    .script("get_budget_status", {
      budgets: [{ entity_id: "red", remaining: 0n, override_policy: { approvers: ["ann"] } }]
    } as never)
    .script("list_overrides", { items: [] })
  ports.completions.push(exceeded([violationOf()]))
  return ports
}

type Kind = DurableKind<WorkflowMachine, WorkflowProtocol>

/** A node: its machines, and the kind that the row is about. */
const startNode = async ({ url }: BenchDatabase) => {
  const runtime = ManagedRuntime.make(
    machinesLayer.pipe(
      Layer.provideMerge(actorLayer),
      Layer.provide(
        machineStoreLayer("server").pipe(Layer.provide(serverLayer({ url: Redacted.make(url) })))
      ),
      Layer.provide(Layer.succeed(SignalDelivery, { deliver: () => Effect.void })),
      Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Error"))
    )
  )
  const ports = fullPorts()
  const machines = await runtime.runPromise(DurableMachines)
  const system = await runtime.runPromise(ActorSystem)
  let known: Kind | undefined
  const line = new RoomLine(
    ports,
    wakeBy(
      () => known,
      (effect) => runtime.runFork(effect)
    )
  )
  const kind = await runtime.runPromise(
    Effect.flatMap(Effect.context<never>(), (services) =>
      machines.register(
        workflowActor(Context.add(services, Scope.Scope, runtime.scope), ports, line, 1_000_000)
      )
    )
  )
  known = kind
  return {
    run: runtime.runPromise.bind(runtime),
    close: () => runtime.dispose(),
    machines,
    system,
    kind,
    ports
  }
}

type Node = Awaited<ReturnType<typeof startNode>>

const inMemory = ({ system }: Node): number => [...system.living()].length

/** Starts some, and waits until all of them are parked and have looked. */
const park = async ({ run, kind, ports }: Node, count: number, series: string): Promise<object> => {
  const start = (index: number) => {
    const id = `${series}-${index}`
    return kind.start(workflowAddress("acme", id), { ...inputOf(graph("a")), id })
  }
  const numbers = Array.from({ length: count }, (_, index) => index)
  await run(Effect.forEach(numbers, start, { concurrency: AT_ONCE, discard: true }))
  await run(Effect.sleep(LOOKED))
  for (;;) {
    const last = await run(kind.view(workflowAddress("acme", `${series}-${count - 1}`)))
    if (last?.snapshot.context.parked !== null) break
    await run(Effect.sleep("200 millis"))
  }
  await run(Effect.sleep(LOOKED))
  // What was asked is the test's own, and no part of a workflow.
  ports.asked.length = 0
  return {}
}

const rest = async (node: Node): Promise<void> => {
  for (let tries = 0; inMemory(node) > 0; tries++) {
    assert.ok(tries < 100, `${inMemory(node)} do not leave`)
    await node.run(node.machines.rest(0))
    await node.run(Effect.sleep("100 millis"))
  }
  // The next look forgets those that have left.
  await node.run(node.machines.rest(0))
}

/** Milliseconds to bring one back that is at rest, one after the other. */
const returns = async (node: Node, ids: ReadonlyArray<string>): Promise<ReadonlyArray<number>> => {
  const took: Array<number> = []
  for (const id of ids) {
    const begunAt = performance.now()
    await node.run(node.kind.wake(workflowAddress("acme", id)))
    took.push(performance.now() - begunAt)
  }
  return took
}

const COPY = `INSERT INTO machine (tenant, address, kind, owner, epoch, revision, commit_id, status, state, about, version,
  snapshot, wakes_at, ended_at) SELECT 'other', 'workflow/other/' || n, kind, '', 1, revision, 'c', status, state,
  replace(about, workflow_id, n::text), version, snapshot, now() + interval '1 hour', NULL
FROM (SELECT *, about::jsonb ->> 'workflow_id' AS workflow_id FROM machine WHERE tenant = 'acme' AND ended_at IS NULL LIMIT 1) m,
  generate_series($1::int8, $2::int8) n`

/** A node starts that has many at rest: what it does at once, and what it keeps of each. */
const findMany = async (database: BenchDatabase, { found }: Sizes): Promise<ReadonlyArray<Comparison>> => {
  const client = connect(database, 1)
  for (let from = 1; from <= found; from += COPIED_AT_ONCE) {
    const to = Math.min(found, from + COPIED_AT_ONCE - 1)
    await client.run((sql) => sql.unsafe(COPY, [BigInt(from), BigInt(to)]))
  }
  await client.run((sql) => sql.unsafe("ANALYZE machine"))
  await client.close()
  const node = await startNode(database)
  let took = 0
  const bytes = await bytesOf(found, async (count) => {
    if (count < found) return {}
    const begunAt = performance.now()
    await node.run(node.machines.recover(() => true, { aheadMs: 6_000, finds: true }))
    took = performance.now() - begunAt
    return {}
  })
  const begunAt = performance.now()
  await node.run(node.machines.recover(() => true, { aheadMs: 6_000 }))
  const look = performance.now() - begunAt
  const there = inMemory(node)
  assert.strictEqual(there, 0, "nobody comes into memory")
  await node.close()
  return [
    {
      what: `a start that finds ${found.toLocaleString("en-US")} at rest`,
      measured: `${number(took)} ms, ${number(bytes)} bytes each`,
      baseline: `each later look: ${number(look)} ms`,
      ratio: took / look
    }
  ]
}

const measure = async (database: BenchDatabase, sizes: Sizes): Promise<RowReport> => {
  const { parked } = sizes
  const node = await startNode(database)
  const resting = await bytesOf(parked, async (count, series) => {
    const made = await park(node, count, `resting-${series}`)
    await rest(node)
    return made
  })
  const ids = Array.from({ length: sizes.returns }, (_, index) => `resting-kept-${index % parked}`)
  const back = sorted(await returns(node, ids))
  const again = sorted(await returns(node, ids))
  await rest(node)
  const living = await bytesOf(parked, (count, series) => park(node, count, `living-${series}`))
  await node.close()
  const megabytes = (bytes: number): string => `${number(bytes / 1_000)} MB`
  return {
    facts: [
      `${parked.toLocaleString("en-US")} parked workflows of one agent in one line; heap after gc`,
      `p95 to bring one back: ${number(percentile(back, 0.95))} ms`
    ],
    comparisons: [
      {
        what: "1,000 parked workflows at rest",
        measured: megabytes(resting),
        baseline: `in memory: ${megabytes(living)}`,
        ratio: resting / living
      },
      {
        what: "to bring one back, p50",
        measured: `${number(median(back))} ms`,
        baseline: `one that is there: ${number(median(again))} ms`,
        ratio: median(back) / median(again)
      },
      ...(await findMany(database, sizes))
    ]
  }
}

export const restingWorkflows = async (extent: Extent): Promise<RowReport> => {
  const database = await openDatabase()
  try {
    return await measure(database, SIZES[extent])
  } finally {
    await database.drop()
  }
}
