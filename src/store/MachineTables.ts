/**
 * The tables of durable machines.
 *
 * Owns: columns, keys and indexes, and why each is as it is.
 * Does not decide: what is written into them (MachineStatement).
 *
 * What a machine is and says is text of JSON, which the database never looks into and takes whatever a model wrote. An
 * address is compared byte by byte.
 *
 * - `machine` is one row a machine: its head, which says who may write, and its last state. A row of revision 0 has been
 *   claimed, and nothing was ever committed. `ended_at` is null while it goes on. Columns that change with each step are
 *   in no index, so that a step writes one row and no index entry.
 * - `machine_removed` is what is left of a machine that had ended and was removed: that nobody begins at its address anew.
 * - `machine_outbox` has what was sent and nobody has confirmed yet; a row goes when it has arrived.
 * - `machine_seen` is what was taken, so that it is taken once; `revision` and `place` are its order.
 * - `machine_feed` counts the facts of a tenant in the statement that writes them. Its row is locked until that is
 *   committed: so the order of numbers is the order of commits, and whoever reads after a number misses nothing.
 */
export const MACHINE_TABLES: ReadonlyArray<string> = [
  `CREATE TABLE machine (
  address text COLLATE "C" PRIMARY KEY,
  tenant text NOT NULL,
  kind text NOT NULL,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  revision bigint NOT NULL DEFAULT 0,
  commit_id text,
  status text,
  state text,
  reason text,
  about text,
  version text,
  snapshot text,
  wakes_at timestamptz,
  ended_at timestamptz DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50)`,
  "CREATE INDEX machine_newest ON machine (tenant, kind, created_at DESC, address)",
  "CREATE INDEX machine_wakes ON machine (wakes_at, address) WHERE wakes_at IS NOT NULL",
  "CREATE INDEX machine_open ON machine (kind, tenant, address) WHERE ended_at IS NULL",
  "CREATE INDEX machine_ended ON machine (tenant, ended_at) WHERE ended_at IS NOT NULL",
  `CREATE TABLE machine_removed (
  address text COLLATE "C" PRIMARY KEY,
  tenant text NOT NULL,
  removed_at timestamptz NOT NULL DEFAULT now()
)`,

  `CREATE TABLE machine_outbox (
  address text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  receiver text NOT NULL,
  signal text NOT NULL,
  params text NOT NULL,
  traceparent text,
  PRIMARY KEY (address, seq)
)`,

  `CREATE TABLE machine_seen (
  address text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  mark bigint NOT NULL,
  digest text,
  revision bigint NOT NULL,
  place integer NOT NULL,
  PRIMARY KEY (address, id)
)`,

  `CREATE TABLE machine_feed (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL DEFAULT 0,
  removed_to bigint NOT NULL DEFAULT 0
)`,
  `CREATE TABLE machine_fact (
  tenant text NOT NULL,
  seq bigint NOT NULL,
  address text NOT NULL,
  kind text NOT NULL,
  body text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant, seq)
)`
]
