/**
 * Which holds are open, read from pages.
 *
 * Owns: the rule, for every store. Does not decide: how pages and requests are kept.
 */
import type { OpenHold, OpenRequest, RequestRow } from "../tokens/LedgerStore.ts"

export interface HoldPage {
  readonly journalSeq: number
  readonly holds: ReadonlyArray<OpenHold>
}

/** A request's row, and the batch that its hold ended in, if it has. */
export interface EndedRequest {
  readonly row: RequestRow
  readonly endedIn: number | null
}

type LastVersion = OpenHold & { readonly page: number }

/** Of every request the version of the last page. `pages`: the oldest first. */
export const lastVersions = (pages: ReadonlyArray<HoldPage>): ReadonlyMap<string, LastVersion> => {
  const last = new Map<string, LastVersion>()
  for (const { journalSeq, holds } of pages) {
    for (const { requestId, hold } of holds) last.set(requestId, { requestId, hold, page: journalSeq })
  }
  return last
}

/** A version is open unless a hold of its request has ended in a later batch. */
export const openRequests = (
  versions: Iterable<LastVersion>,
  requestOf: (requestId: string) => EndedRequest | undefined
): ReadonlyArray<OpenRequest> => {
  const open: Array<OpenRequest> = []
  for (const version of versions) {
    const request = requestOf(version.requestId)
    if ((request?.endedIn ?? -1) > version.page) continue
    open.push({ ...version, row: request?.row })
  }
  return open
}
