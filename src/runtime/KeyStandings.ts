/**
 * What the key behind a principal may do now, for whatever goes on in its name after it was asked for.
 *
 * Owns: telling keys from those who speak without one (the installation, a host in this process), whom nobody can revoke.
 * Does not decide: how long a key is believed (bridge/KnownKeys), or what becomes of what rests on one that has ended.
 */
import { Clock, Effect } from "effect"
import { endOfKey, isKeyId, type KnownKeys, principalOfKey } from "../bridge/KnownKeys.ts"
import type { KeyStanding, KeyStandings } from "../workflow/Ports.ts"

export const keyStandings = (known: KnownKeys): KeyStandings => ({
  of: (principal, freshMs) => {
    if (!isKeyId(principal.keyId)) return Effect.succeed({ holder: principal })
    return Effect.map(
      Effect.zip(known.find(principal.keyId, freshMs), Clock.currentTimeMillis),
      ([row, now]): KeyStanding => {
        if (row === undefined || row.tenant !== principal.tenant) return { ended: "unknown" }
        const ended = endOfKey(row, now)
        if (ended !== undefined) return { ended }
        const holder = principalOfKey(row)
        return row.expiresAt === null ? { holder } : { holder, expiresAt: row.expiresAt }
      }
    )
  }
})
