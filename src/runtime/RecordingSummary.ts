/**
 * A recording as a person reads it: event by event, and what it comes to. Why was an agent refused?
 *
 * Owns: the words. Does not decide: what is in a recording (RecordingReader).
 */
import type { SignalRecord } from "../signal/Inspection.ts"
import { isFailure, isRefusal } from "../signal/Refusals.ts"
import type { Recorded } from "./RecordingReader.ts"

type WireSignal = typeof SignalRecord.Encoded
type WireEvent = Extract<Recorded, { readonly kind: "event" }>["event"]

const GROUPS_MAX = 200
const DURATIONS_MAX = 100_000
const PATTERN = /[\p{Cc}\p{Cf}]/gu

/** Text of others, without what a terminal would obey. */
const plain = (text: string): string => text.replace(PATTERN, "�")
const timeOf = (at: string): string => at.slice(11, 23)

type Fields = { readonly [name: string]: unknown }
const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {}

const WHO = ["agent", "user_id", "team_id", "project_id", "feature", "workflow_id", "conversation_id"]

/** For whom a signal was. */
const whoOf = ({ payload, principal }: WireSignal): string => {
  const fields = fieldsOf(payload)
  const named = WHO.filter((name) => typeof fields[name] === "string").map(
    (name) => `${name.replace("_id", "")} ${fields[name]}`
  )
  return named.length === 0 ? `key ${principal}` : named.join(", ")
}

/** What stood in the way, in figures. */
const violationsOf = ({ answer }: WireSignal): ReadonlyArray<string> => {
  const { violations } = fieldsOf(answer)
  if (!Array.isArray(violations)) return []
  return violations.map((one) => {
    const { name, type, entity_id, limit, spent, held, requested, shortfall, currency, measure, override } =
      fieldsOf(one)
    const unit = measure === "cost" ? currency : measure
    const of = entity_id === undefined || entity_id === null ? type : `${type} ${entity_id}`
    return `${name} (${of}): limit ${limit} ${unit}, spent ${spent}, held ${held}; ${requested} asked for, ${shortfall} short; override ${override}`
  })
}

/** One event as a line. */
export const lineOf = (event: WireEvent): string => {
  if ("signal" in event) {
    const { at, signal, address, outcome, duration_ms, request_id, reason } = event.signal
    const why = reason === null ? "" : `: ${reason}`
    return plain(
      `${timeOf(at)}  ${signal} → ${address}  ${outcome}, ${duration_ms} ms  ${request_id ?? ""}${why}`.trimEnd()
    )
  }
  if ("received" in event) {
    const { at, signal, address, mailbox_depth, request_id } = event.received
    return plain(
      `${timeOf(at)}  ${signal} → ${address}  came, behind ${mailbox_depth}  ${request_id ?? ""}`.trimEnd()
    )
  }
  if ("dead_letter" in event) {
    const { at, signal, address, why } = event.dead_letter
    return plain(`${timeOf(at)}  ${signal} → ${address}  nobody could take it: ${why}`)
  }
  const { at, fact, actor, detail } = event.actor
  const state = fact === "mailbox" ? `${actor.mailbox_depth} waiting` : (actor.state ?? "")
  return plain(
    `${timeOf(at)}  ${actor.address}  ${fact} ${state}${detail === null ? "" : ` (${detail})`}`.trimEnd()
  )
}

export interface RecordingFilter {
  /** An address, or the beginning of one: `call/default`. */
  readonly actor?: string | undefined
  readonly signal?: string | undefined
}

export const isWanted = (event: WireEvent, { actor, signal }: RecordingFilter): boolean => {
  const told = "signal" in event ? event.signal : "received" in event ? event.received : undefined
  const letter = "dead_letter" in event ? event.dead_letter : told
  const address = "actor" in event ? event.actor.actor.address : (letter?.address ?? "")
  if (actor !== undefined && address !== actor && !address.startsWith(`${actor}/`)) return false
  return signal === undefined || letter?.signal === signal
}

interface Group {
  count: number
  first: string
  last: WireSignal
}

interface Figures {
  answered: number
  refused: number
  failed: number
  readonly durations: Array<number>
}

const atRank = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

/** What a recording comes to. */
export class RecordingSummary {
  readonly #head: Array<string> = []
  readonly #damaged: Array<string> = []
  readonly #refused = new Map<string, Group>()
  readonly #failed = new Map<string, Group>()
  readonly #signals = new Map<string, Figures>()
  readonly #troubles = new Map<string, number>()
  readonly #waiting = new Map<number, string>()
  #events = 0
  #lost = 0
  #missing = 0
  #isOpen = false
  #fullest: { readonly depth: number; readonly text: string } | undefined

  add(recorded: Recorded): void {
    switch (recorded.kind) {
      case "begun":
        this.#head.push(
          `Begun ${recorded.recording.started_at} by bursar ${plain(recorded.recording.bursar)}`
        )
        this.#isOpen = true
        this.#waiting.clear()
        break
      case "ended":
        this.#head.push(
          recorded.why === "full"
            ? `Ended ${recorded.at}: the file was full, what came afterwards is not in it`
            : `Ended ${recorded.at}`
        )
        this.#isOpen = false
        break
      case "gap":
        if (recorded.isTold) this.#lost += recorded.events
        else this.#missing += recorded.events
        break
      case "damaged":
        if (this.#damaged.length < GROUPS_MAX) this.#damaged.push(`Line ${recorded.line}: ${recorded.why}`)
        break
      case "event":
        this.#events += 1
        this.#take(recorded.event)
    }
  }

  #take(event: WireEvent): void {
    if ("received" in event) {
      const { signal_id, signal, address, at } = event.received
      this.#waiting.set(signal_id, `${signal} → ${address} since ${timeOf(at)}`)
    } else if ("signal" in event) this.#answered(event.signal)
    else if ("dead_letter" in event) {
      const { signal, address, why } = event.dead_letter
      this.#trouble(`dead letter ${signal} → ${address}: ${why}`)
    } else {
      const { fact, actor, detail, at } = event.actor
      if (fact === "restarted" || fact === "failed")
        this.#trouble(`${actor.address} ${fact}: ${detail ?? ""}`)
      if (actor.mailbox_depth > (this.#fullest?.depth ?? 0)) {
        const text = `${actor.address}, ${actor.mailbox_depth} of ${actor.mailbox_capacity}, ${timeOf(at)}`
        this.#fullest = { depth: actor.mailbox_depth, text }
      }
    }
  }

  #answered(record: WireSignal): void {
    this.#waiting.delete(record.signal_id)
    const figures = this.#signals.get(record.signal) ?? { answered: 0, refused: 0, failed: 0, durations: [] }
    this.#signals.set(record.signal, figures)
    figures.answered += 1
    if (figures.durations.length < DURATIONS_MAX) figures.durations.push(record.duration_ms)
    const [isRefused, hasFailed] = [isRefusal(record), isFailure(record)]
    if (isRefused) figures.refused += 1
    else if (hasFailed) figures.failed += 1
    else return
    const why = isRefused ? budgetsOf(record) : record.outcome
    const groups = isRefused ? this.#refused : this.#failed
    const key = `${record.signal}\n${whoOf(record)}\n${why}`
    const known = groups.get(key)
    if (known !== undefined) Object.assign(known, { count: known.count + 1, last: record })
    else if (groups.size < GROUPS_MAX) groups.set(key, { count: 1, first: record.at, last: record })
  }

  #trouble(text: string): void {
    const count = this.#troubles.get(text)
    if (count !== undefined || this.#troubles.size < GROUPS_MAX) this.#troubles.set(text, (count ?? 0) + 1)
  }

  text(): string {
    const parts = [
      this.#headText(),
      section("Refused", groupLines(this.#refused)),
      section("Failed", groupLines(this.#failed)),
      section("Actors", [
        ...Array.from(this.#troubles, ([text, count]) => `${count} × ${text}`),
        ...(this.#fullest === undefined ? [] : [`fullest mailbox: ${this.#fullest.text}`])
      ]),
      section("Came and were not answered here", [...this.#waiting.values()].slice(0, GROUPS_MAX)),
      section("Signals", this.#signalLines())
    ]
    return `${plainLines(parts.filter((part) => part !== "").join("\n\n"))}\n`
  }

  #headText(): string {
    const lines = [...this.#head]
    if (this.#isOpen) lines.push("It has no end: the program died, or still writes")
    lines.push(`${this.#events} events`)
    if (this.#lost > 0)
      lines.push(`${this.#lost} events came faster than they could be written, and are not here`)
    if (this.#missing > 0) lines.push(`${this.#missing} events are missing: lines were taken out or damaged`)
    return [...lines, ...this.#damaged].join("\n")
  }

  #signalLines(): ReadonlyArray<string> {
    return Array.from(this.#signals, ([name, { answered, refused, failed, durations }]) => {
      const sorted = durations.toSorted((left, right) => left - right)
      const times = `half within ${atRank(sorted, 0.5)} ms, 95 % within ${atRank(sorted, 0.95)} ms, longest ${sorted.at(-1)} ms`
      return `${name}: ${answered} answered, ${refused} refused, ${failed} failed; ${times}`
    })
  }
}

const budgetsOf = (record: WireSignal): string => {
  const { violations } = fieldsOf(record.answer)
  return Array.isArray(violations) ? violations.map((one) => fieldsOf(one).budget_id).join() : ""
}

const plainLines = (text: string): string => text.split("\n").map(plain).join("\n")

const section = (title: string, lines: ReadonlyArray<string>): string =>
  lines.length === 0 ? "" : [title, ...lines.map((line) => `  ${line}`)].join("\n")

/** The most frequent first; each with its figures, and the last request to look for. */
const groupLines = (groups: ReadonlyMap<string, Group>): ReadonlyArray<string> =>
  [...groups.values()]
    .toSorted((left, right) => right.count - left.count)
    .flatMap(({ count, first, last }) => {
      const span = count === 1 ? timeOf(last.at) : `${timeOf(first)} to ${timeOf(last.at)}`
      return [
        `${count} × ${last.signal} by ${whoOf(last)}, ${span}`,
        ...(last.reason === null ? [] : [`    ${last.reason}`]),
        ...violationsOf(last).map((text) => `    ${text}`),
        `    last: request ${last.request_id ?? "without an id"}, ${last.outcome}${last.trace_id === null ? "" : `, trace ${last.trace_id}`}`
      ]
    })
