/**
 * What tests of hosts import ("bursar/testing"): a runtime without Postgres or network, whose time passes when a test says
 * so, providers that say what was written down for them, and actors that record what they get.
 *
 * What is the same in each run: the order in which actors work and are answered, everything that depends on time, retries
 * and their pauses, ids of budgets, holds and usage, costs. What is not: request ids that the runtime makes (send your
 * own), salts of the audit trail, and `duration_ms` of signals, which is real.
 *
 * With a `seed` the order in which ready fibers go on is drawn from it, and where one lets others pass: the same for the same
 * seed. It covers whatever actors and fibers do to each other. It does not cover callbacks of the outside world (sockets, files,
 * promises of your own), which come when they come.
 */
export type { CallStream, Client, Subscription } from "./host/Client.ts"
export type { SignalRecord } from "./signal/Inspection.ts"
export { moneyOf, openHoldsOf, standingOf, usageOf } from "./testing/Ledger.ts"
export { makeProbe, NotSeen, type Probe, type ProbeAnswers } from "./testing/Probe.ts"
export {
  type Answer,
  answers,
  type Failure,
  fails,
  type Line,
  type ScriptedOptions,
  type ScriptedProvider,
  type ScriptedUsage,
  scriptedProvider,
  staysSilent
} from "./testing/ScriptedProvider.ts"
export {
  startTestBursar,
  type TestBursar,
  type TestOptions,
  type TestServices,
  testLayer
} from "./testing/TestRuntime.ts"
export { pass, settle } from "./testing/VirtualTime.ts"
