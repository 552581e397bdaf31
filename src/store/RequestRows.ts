/**
 * Requests and their holds as rows and pages, and back.
 *
 * Owns: which parts are columns; the compact text of a hold and of an attempt.
 * Does not decide: when a request changes (tokens/), or which holds are open (OpenHolds).
 *
 * A hold is written once for each call and read only when a tenant is loaded or a request is sent again: it is a JSON
 * array without names, which nothing in the database looks into.
 */
import { DEFAULT_MANAGER_CONFIG } from "../signal/Management.ts"
import { formatAmount, parseAmount, UNIT } from "../signal/Money.ts"
import { type Names, renamedKey } from "../tokens/Forgetting.ts"
import type { AttemptRow, HoldRow, HoldState, OpenHold, RequestRow } from "../tokens/LedgerStore.ts"
import { type Columns, int8Column, mustBePlain, plainJsonColumn, textColumn } from "./Columns.ts"

/** A booking: budget, start of the period, amount. */
type BookingInJson = readonly [string, number, string]

type PlainHoldInJson = readonly [
  id: string,
  digest: string,
  createdAt: number,
  expiresAt: number,
  keyId: string,
  provider: string | null,
  model: string | null,
  estimatedTokens: number,
  estimatedCost: string,
  remainingTokens: number,
  remainingCost: string,
  bookings: ReadonlyArray<BookingInJson>,
  attribution: HoldRow["attribution"],
  /** The price's id; 1 for what the catalogue calls its price of this model. */
  priceId: string | null | 1
]
type HoldInJson = readonly [...PlainHoldInJson, pinned?: PinnedInJson]

/** What a hold pins beside its price, where it is not as it nearly always is. */
interface PinnedInJson {
  readonly currency?: string
  readonly serviceTier?: string
  readonly exchangeRate?: string
  readonly rates?: { readonly [currency: string]: string }
}

const USUAL_CURRENCY = DEFAULT_MANAGER_CONFIG.currency
const usualPriceId = (provider: string | null, model: string | null): string =>
  `catalogue:${provider}/${model}`

const mapValues = <A, B>(
  record: { readonly [name: string]: A },
  to: (value: A) => B
): { [name: string]: B } =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, to(value)]))

const pinnedInJson = ({ currency, serviceTier, exchangeRate, rates }: HoldRow): PinnedInJson | undefined =>
  currency === USUAL_CURRENCY && serviceTier === null && exchangeRate === UNIT && rates === null
    ? undefined
    : {
        ...(currency === USUAL_CURRENCY ? {} : { currency }),
        ...(serviceTier === null ? {} : { serviceTier }),
        ...(exchangeRate === UNIT ? {} : { exchangeRate: formatAmount(exchangeRate) }),
        ...(rates === null ? {} : { rates: mapValues(rates, formatAmount) })
      }

const pinnedFrom = (
  pinned: PinnedInJson = {}
): Pick<HoldRow, "currency" | "serviceTier" | "exchangeRate" | "rates"> => ({
  currency: pinned.currency ?? USUAL_CURRENCY,
  serviceTier: pinned.serviceTier ?? null,
  exchangeRate: pinned.exchangeRate === undefined ? UNIT : parseAmount(pinned.exchangeRate),
  rates: pinned.rates === undefined ? null : mapValues(pinned.rates, parseAmount)
})

/** An attempt: number, digest, usage_seq, 1 where it is an estimate; and if it was adjusted, by what, and what answers. */
const FINAL = 0
const ESTIMATE = 1
const GUESS = 2
type AttemptInJson = readonly [
  number,
  string,
  number,
  typeof FINAL | typeof ESTIMATE | typeof GUESS,
  ReadonlyArray<number>?,
  number?
]

const inJson = (hold: HoldRow): HoldInJson => {
  const pinned = pinnedInJson(hold)
  return pinned === undefined ? plainInJson(hold) : [...plainInJson(hold), pinned]
}

const plainInJson = (hold: HoldRow): PlainHoldInJson => [
  hold.id,
  hold.digest,
  hold.createdAt,
  hold.expiresAt,
  hold.keyId,
  hold.provider,
  hold.model,
  hold.estimatedTokens,
  formatAmount(hold.estimatedCost),
  hold.remainingTokens,
  formatAmount(hold.remainingCost),
  hold.bookings.map((it) => [it.budgetId, it.periodStart, formatAmount(it.amount)]),
  hold.attribution,
  hold.priceId === usualPriceId(hold.provider, hold.model) ? 1 : hold.priceId
]

const fromJson = (json: HoldInJson, state: HoldState): HoldRow => {
  const [id, digest, createdAt, expiresAt, keyId, provider, model, ...amounts] = json
  const [estimatedTokens, estimatedCost, remainingTokens, remainingCost, bookings, attribution, ...terms] =
    amounts
  const [priceId, pinned] = terms
  return {
    id,
    state,
    digest,
    createdAt,
    expiresAt,
    keyId,
    provider,
    model,
    estimatedTokens,
    estimatedCost: parseAmount(estimatedCost),
    remainingTokens,
    remainingCost: parseAmount(remainingCost),
    bookings: bookings.map(([budgetId, periodStart, amount]) => ({
      budgetId,
      periodStart,
      amount: parseAmount(amount)
    })),
    attribution,
    priceId: priceId === 1 ? usualPriceId(provider, model) : priceId,
    ...pinnedFrom(pinned)
  }
}

const attemptInJson = (row: AttemptRow): AttemptInJson => {
  const { attempt, digest, usageSeq, adjustments, answerSeq } = row
  const estimate = row.isGuess ? GUESS : row.isEstimated ? ESTIMATE : FINAL
  if (adjustments.length === 0) return [attempt, digest, usageSeq, estimate]
  return [attempt, digest, usageSeq, estimate, adjustments, answerSeq]
}

// --- requests

export const REQUEST_COLUMNS: Columns = [
  ["request_id", "text"],
  ["state", "text"],
  ["ended_in", "int8"],
  ["hold", "text"],
  ["attempts", "text"]
]

/** `journalSeq`: the batch that they are written in. */
export const requestValues = (rows: ReadonlyArray<RequestRow>, journalSeq: number) => [
  textColumn(rows.map((row) => row.requestId)),
  textColumn(rows.map((row) => row.hold?.state ?? null)),
  int8Column(rows.map((row) => (row.hold === null ? null : journalSeq))),
  plainJsonColumn(rows.map((row) => (row.hold === null ? null : JSON.stringify(inJson(row.hold))))),
  plainJsonColumn(
    rows.map((row) => (row.attempts.length === 0 ? null : JSON.stringify(row.attempts.map(attemptInJson))))
  )
]

/** What `SELECT_REQUEST` selects. */
export interface StoredRequest {
  readonly request_id: string
  readonly state: HoldState | null
  readonly ended_in: bigint | null
  readonly hold: string | null
  readonly attempts: string | null
}

export const SELECT_REQUEST = `SELECT ${REQUEST_COLUMNS.map(([name]) => `q.${name}`).join(", ")} FROM request q`

export const requestFrom = ({ request_id, state, hold, attempts }: StoredRequest): RequestRow => ({
  requestId: request_id,
  hold: hold === null || state === null ? null : fromJson(JSON.parse(hold) as HoldInJson, state),
  attempts:
    attempts === null
      ? []
      : (JSON.parse(attempts) as ReadonlyArray<AttemptInJson>).map(
          ([attempt, digest, usageSeq, estimate, adjustments = [], answerSeq = usageSeq]) => ({
            attempt,
            digest,
            usageSeq,
            isEstimated: estimate !== FINAL,
            isGuess: estimate === GUESS,
            adjustments,
            answerSeq
          })
        )
})

// --- under another name

/** A hold's parts that name a user: where it is booked, and for whom. */
const BOOKINGS_AT = 11
const ATTRIBUTION_AT = 12

const renamedHold = (hold: HoldInJson, names: Names): HoldInJson => {
  const renamed: Array<unknown> = [...hold]
  const bookings = hold[BOOKINGS_AT]
  renamed[BOOKINGS_AT] = bookings.map(([key, start, amount]) => [renamedKey(key, names), start, amount])
  const attribution = hold[ATTRIBUTION_AT]
  if (attribution.user_id === names.from) renamed[ATTRIBUTION_AT] = { ...attribution, user_id: names.to }
  return renamed as unknown as HoldInJson
}

/** The text of a hold, under another name of a user. */
export const renamedHoldText = (hold: string, names: Names): string =>
  JSON.stringify(renamedHold(JSON.parse(hold) as HoldInJson, names))

/** The text of a page, with all versions in it. */
export const renamedPageText = (page: string, names: Names): string =>
  JSON.stringify(
    (JSON.parse(page) as ReadonlyArray<readonly [string, HoldInJson]>).map(([requestId, hold]) => [
      requestId,
      renamedHold(hold, names)
    ])
  )

// --- pages of open holds

/** The text of a page. Throws `Unencodable` where a hold has a text that Postgres could not keep. */
export const pageOf = (holds: ReadonlyArray<OpenHold>): string => {
  const text = JSON.stringify(holds.map(({ requestId, hold }) => [requestId, inJson(hold)]))
  mustBePlain(text)
  return text
}

export const holdsFrom = (page: string): ReadonlyArray<OpenHold> =>
  (JSON.parse(page) as ReadonlyArray<readonly [string, HoldInJson]>).map(([requestId, hold]) => ({
    requestId,
    hold: fromJson(hold, "held")
  }))
