/**
 * How quickly nodes notice each other.
 *
 * Owns: every interval and bound of the cluster, explicitly. A node whose process ended is noticed by the session
 * that ended with it; one that froze, or whose machine is gone, when its lease has run out at the latest, and by a ping
 * earlier, where the node that pings is another one.
 * Does not decide: who owns a tenant's money: that is the head of its ledger, whatever a node believes.
 */
import { Duration } from "effect"
import type { ShardingConfig } from "effect/cluster"
import type { Millis } from "../signal/Text.ts"

/** Shards are the unit in which addresses move. More of them spread evener, and take longer to be handed over. */
export const SHARDS = 64

/** A node that said nothing for so long is taken for dead: its shards go to others. Whole seconds. */
export const LEASE_MS: Millis = 6_000
/** How often a node renews what it holds, and how long the store may take for it: a third of the lease. */
export const RENEWED_EVERY_MS: Millis = 2_000
/** How often a node reads who is there, at least: who comes or leaves in order says so, and is noticed at once. */
export const NODES_READ_EVERY_MS: Millis = 200
/** A node whose session has ended for so long is gone: its process died, and the server saw it at once. */
export const MISSED_AFTER_MS: Millis = 300
/** Between two looks the store is left alone for so long, whatever happens. */
const LOOK_PAUSE_MS: Millis = 10
/** Between two tries to reach the owner of an address that is on its way, at most: the first come sooner. */
export const RETRIED_EVERY_MS: Millis = 50
export const RETRIED_FIRST_MS: Millis = 5
/**
 * An ask that is sent again is given up after so long without an answer, and sent again, the next times after twice as long
 * each: so an owner that needs its time is heard, and one that is silent is asked four times before it is `Unavailable`.
 */
export const AGAIN_WITHIN_MS: Millis = 1_000
/** Shards that somebody is about to let go of are tried again so soon, and more and more seldom while nothing comes. */
export const TAKEN_AGAIN_MS: Millis = 20
export const TAKEN_AGAIN_MS_MAX: Millis = 200
/** How long an ask waits for its owner before it is `Unavailable`: longer than a killed node is missed. */
export const PATIENCE_MS: Millis = 15_000
/** A store that is away is told as soon as one node by itself would tell it. */
export const STORE_PATIENCE_MS: Millis = 5_000

/**
 * A node pings the others so often, and takes for dead whoever misses so many that may take so long each: it lives, for its
 * session with the store does, and the others do not reach it. A machine with too much to do must not look like that.
 */
export const PINGED_EVERY_MS: Millis = 900
export const PING_MS: Millis = 1_500
export const PINGS_MISSED = 6
export const PING_PAUSE_MS: Millis = 900

/**
 * A connection on which nothing came for so long is dropped, and what waits on it is sent again: not before the lease of
 * whoever is silent has run out, for until then nobody else has what is asked for.
 */
export const SILENT_MS: Millis = 6_000
/** How long a connection may take to be opened, by two nodes that have much else to do. */
export const OPEN_MS: Millis = 3_000

/** How long an address that moves may take to answer what it has begun. */
export const DRAINED_WITHIN_MS: Millis = 5_000

export const SHARDING: Partial<ShardingConfig.ShardingConfig["Service"]> = {
  shardsPerGroup: SHARDS,
  shardLockExpiration: Duration.millis(LEASE_MS),
  shardLockRefreshInterval: Duration.millis(RENEWED_EVERY_MS),
  // The look itself waits until it is due, or until somebody says that something has changed.
  refreshAssignmentsInterval: Duration.millis(LOOK_PAUSE_MS),
  runnerHealthCheckInterval: Duration.millis(PINGED_EVERY_MS),
  sendRetryInterval: Duration.millis(TAKEN_AGAIN_MS),
  entityTerminationTimeout: Duration.millis(DRAINED_WITHIN_MS),
  // Also how soon the loop that takes shards starts again after a failure.
  entityMessagePollInterval: Duration.millis(500),
  // An idle TokenManager is not an idle address: who leaves memory is decided where actors live.
  entityMaxIdleTime: Duration.infinity,
  maxResidentEntities: "unbounded",
  simulateRemoteSerialization: false
}
