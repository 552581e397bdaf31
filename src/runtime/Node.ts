/**
 * This runtime as one node of several.
 *
 * Owns: what a node is told (where it listens, where the others reach it), and the key that nodes know each other by: it
 * is derived from the installation's secret, which all of them read in the store.
 * Does not decide: anything about how nodes find each other (cluster/).
 */
import { hostname } from "node:os"
import { Effect, Layer, Redacted, Schema } from "effect"
import type { Placement } from "../actor/Placement.ts"
import { InstallationSecret, keyedHash } from "../bridge/InstallationSecret.ts"
import { type ClusterFailed, layer } from "../cluster/Cluster.ts"
import { MISSED_AFTER_MS, NODES_READ_EVERY_MS } from "../cluster/Timing.ts"
import { type Known, PORT, TEXT } from "../signal/KnownOptions.ts"
import { nodeLocks } from "../store/NodeLocks.ts"
import type { StoreFailed } from "../store/Store.ts"

export interface ClusterOptions {
  /** Where this node listens for the others. Default: 127.0.0.1. */
  readonly host?: string
  /** 0 picks a free one. Default: 4681. */
  readonly port?: number
  /** Where the others reach it, as `HOST` or `HOST:PORT`. Default: where it listens; the machine's name where that is everywhere. */
  readonly address?: string
}

/** Its options. */
export const CLUSTER: Known<ClusterOptions> = { host: TEXT, port: PORT, address: TEXT }

/** These settings make no node. */
export class ClusterRefused extends Schema.TaggedError<ClusterRefused>()("ClusterRefused", {
  message: Schema.String
}) {}

const DEFAULT_PORT = 4681
const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::", ""])

type Advertised = { readonly host: string; readonly port?: number }

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT`; `undefined` for anything else. */
const readAddress = (text: string): Advertised | undefined => {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/u.exec(text)
  const host = found?.[1] ?? found?.[2]
  if (host === undefined) return undefined
  if (found?.[3] === undefined) return { host }
  const port = Number(found[3])
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}

const advertisedBy = ({ host = "127.0.0.1", address }: ClusterOptions): Advertised | undefined => {
  if (address !== undefined) return readAddress(address)
  return { host: EVERYWHERE.has(host) ? hostname() : host }
}

/** One node of those that share the Postgres server at `databaseUrl`. */
export const clusterLayer = (
  options: ClusterOptions,
  databaseUrl: Redacted.Redacted<string>
): Layer.Layer<Placement, ClusterFailed | ClusterRefused | StoreFailed, InstallationSecret> => {
  const advertised = advertisedBy(options)
  if (advertised === undefined) {
    const message = `${options.address} is no address at which other nodes reach this one: expected HOST or HOST:PORT`
    return Layer.effectContext(Effect.fail(new ClusterRefused({ message })))
  }
  return Layer.unwrap(
    Effect.map(InstallationSecret, (installation) =>
      layer(
        {
          host: options.host ?? "127.0.0.1",
          port: options.port ?? DEFAULT_PORT,
          advertised,
          key: Redacted.make(keyedHash(installation, "cluster: connections between nodes"))
        },
        nodeLocks({ url: databaseUrl, lookedEveryMs: NODES_READ_EVERY_MS, missedAfterMs: MISSED_AFTER_MS })
      )
    )
  )
}
