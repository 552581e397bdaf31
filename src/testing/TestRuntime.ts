/**
 * A whole runtime for tests: no Postgres, no network, time that passes when a test says so.
 *
 * Owns: which layers make one, and what a test sees of it beside its signals.
 * Does not decide: any rule. Everything above the store is the product's own; the store in memory keeps the promises of
 * the one on Postgres, as the same contract tests show. Nothing outlives it.
 */
import { Duration, Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem, layer as actorLayer } from "../actor/ActorSystem.ts"
import type { DurableMachines } from "../actor/DurableMachines.ts"
import { recordOf } from "../actor/Inspection.ts"
import type { DoorServices } from "../host/Door.ts"
import { type HostLogging, LOGGING, loggingLayer } from "../host/Logging.ts"
import { type Bursar, startRunning } from "../host/Running.ts"
import { ADAPTER, type Adapter } from "../provider/Adapter.ts"
import { simulator } from "../provider/Simulator.ts"
import { durableLayer, durableRunLayer } from "../runtime/DurableRuntime.ts"
import { RECORDING, type RecordingFailed, type RecordOptions, recordingLayer } from "../runtime/Recorder.ts"
import { layer as runtimeLayer } from "../runtime/Runtime.ts"
import { VERSION } from "../runtime/Version.ts"
import { callableBy } from "../runtime/WorkflowPorts.ts"
import type { SignalName } from "../signal/Catalogue.ts"
import { findSignal } from "../signal/Decode.ts"
import { invalidParam } from "../signal/Errors.ts"
import type { SignalRecord } from "../signal/Inspection.ts"
import { Kind, type Known, LIST, listOf, NUMBER, refuseUnknown, TEXT } from "../signal/KnownOptions.ts"
import type { WorkflowDefinition } from "../signal/WorkflowDefinition.ts"
import type { LedgerStore } from "../tokens/LedgerStore.ts"
import { declare, type WorkflowRefused } from "../workflow/Workflows.ts"
import { memoryStore } from "./MemoryStore.ts"
import { Recorder } from "./Probe.ts"
import { seededOrder } from "./SeededScheduler.ts"
import { pass, settle } from "./VirtualTime.ts"

/** A Monday morning, with all of the day, the week, the month and the year before it. */
const MONDAY = Date.UTC(2026, 5, 1, 9)
/** The clock warns of sleepers that nobody wakes. In a runtime there are always some. */
const NO_WARNING = { warningDelay: "1 hour" } as const

export interface TestOptions {
  /** Providers beside the built-in simulator: scripted ones, or a host's own. */
  readonly providers?: ReadonlyArray<Adapter>
  /** When it begins. Default: Monday, 1 June 2026, 09:00 UTC. */
  readonly startAt?: Date | number | string
  /** The tenant that the client speaks for. Default: `default`. */
  readonly tenant?: string
  /**
   * Draws the order in which ready fibers go on from this number, and where a fiber lets others pass: the same for the same
   * seed. So a test looks for races over many seeds, and runs the one that found something again. Without it fibers go on
   * in the order in which they became ready.
   */
  readonly seed?: number | undefined
  /** Workflows that `start_workflow` knows by name. */
  readonly workflows?: ReadonlyArray<typeof WorkflowDefinition.Encoded>
  /** Records what actors do into a file; `readRecording` reads it back. Default: nothing is recorded. */
  readonly record?: RecordOptions
  /** Default: warnings and errors, to standard error. */
  readonly log?: HostLogging
}

const MOMENT = new Kind("a Date, milliseconds since 1970 or a time such as 2026-06-01T09:00:00Z", (value) =>
  Number.isFinite(new Date(value as Date).getTime())
)

const KNOWN: Known<TestOptions> = {
  providers: listOf(ADAPTER),
  startAt: MOMENT,
  tenant: TEXT,
  seed: NUMBER,
  workflows: LIST,
  record: RECORDING,
  log: LOGGING
}

export type TestServices = DoorServices | ActorSystem | DurableMachines | LedgerStore

/** The runtime as layers, under the clock of the test around it: `Effect.provide(testLayer())` in an `it.effect`. */
export const testLayer = ({
  providers = [],
  workflows = [],
  record,
  seed
}: Pick<TestOptions, "providers" | "workflows" | "record" | "seed"> = {}): Layer.Layer<
  TestServices,
  TestRefused
> => {
  const adapters = [simulator(), ...providers]
  return durableRunLayer.pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(declare(workflows, callableBy(adapters)), (declared) =>
          runtimeLayer({
            // Pauses before a retry are as long as they can be, and not as it comes.
            providers: { adapters, settings: { random: () => 1 } },
            workflows: declared,
            version: VERSION
          })
        )
      )
    ),
    Layer.merge(recordingLayer(record, VERSION)),
    Layer.provideMerge(durableLayer),
    Layer.provideMerge(actorLayer),
    Layer.provideMerge(memoryStore),
    Layer.provideMerge(seededOrder(seed))
  )
}

/** Workflows that cannot be, or a file that cannot be written. */
type TestRefused = WorkflowRefused | RecordingFailed

export interface TestBursar extends Bursar {
  /** What time it is here. */
  readonly now: () => Date
  /** Lets time pass, and everything run that comes due: `"90 seconds"`, `"2 hours"`, or milliseconds. */
  readonly advance: (duration: Duration.Input) => Promise<void>
  /** Lets everything run that can run without time passing. */
  readonly settle: () => Promise<void>
  /** Of the last 512 signals that actors have answered, those that were not taken by `expectSignal`. */
  readonly signals: ReadonlyArray<SignalRecord>
  /** The next signal of this name that an actor has answered. Rejects where there is none without time passing. */
  readonly expectSignal: (
    name: SignalName,
    where?: (signal: SignalRecord) => boolean
  ) => Promise<SignalRecord>
}

const millisOf = (duration: Duration.Input): number => {
  const millis =
    typeof duration === "number"
      ? duration
      : Option.getOrElse(Option.map(Duration.fromInput(duration), Duration.toMillis), () => Number.NaN)
  if (Number.isFinite(millis) && millis >= 0) return millis
  const given = typeof duration === "string" ? JSON.stringify(duration) : String(duration)
  throw invalidParam(
    ["duration"],
    `${given} is none to advance by: give milliseconds, or a text such as "90 seconds" or "2 hours"`
  )
}

/** Starts one, in milliseconds. Rejects with `InvalidParams` where there is no such option, or no such value of it. */
export const startTestBursar = async (options: TestOptions = {}): Promise<TestBursar> => {
  refuseUnknown(options, KNOWN)
  const startAt = new Date(options.startAt ?? MONDAY).getTime()
  const begun = Layer.effectDiscard(TestClock.setTime(startAt)).pipe(
    Layer.provideMerge(TestClock.layer(NO_WARNING)),
    // Beneath the clock, which waits for what it wakes.
    Layer.provideMerge(seededOrder(options.seed))
  )
  const { bursar, services } = await startRunning({
    layer: testLayer({ ...options, seed: undefined }).pipe(
      Layer.provideMerge(begun),
      Layer.provideMerge(loggingLayer(options.log ?? {}))
    ),
    tenant: options.tenant,
    listen: undefined
  })
  const run = Effect.runPromiseWith(services)
  const { inspection } = await run(ActorSystem)
  // Not by listening: whoever listens is told of mailboxes twice a second, which makes hours long.
  const recorder = new Recorder(() => inspection.recentSignals())
  return {
    ...bursar,
    now: () => new Date(Effect.runSyncWith(services)(Effect.clockWith((clock) => clock.currentTimeMillis))),
    advance: async (duration) => run(pass(millisOf(duration))),
    settle: () => run(settle),
    get signals() {
      return recorder.all.map((signal) => recordOf(signal))
    },
    expectSignal: async (name, where = () => true) => {
      const taken = recorder.take(
        `An answer to ${name}`,
        (signal): signal is typeof signal => signal.name === name && where(recordOf(signal))
      )
      return recordOf(await run(Effect.andThen(Effect.fromResult(findSignal(name)), taken)))
    }
  }
}
