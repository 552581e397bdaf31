/** An actor of your own, with signals of your own, beside those of the runtime. `node examples/08-own-actor.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import {
  ActorSystem,
  behave,
  command,
  installationPrincipal,
  layer,
  protocol,
  query,
  tenantAddress
} from "../src/effect.ts"

const Vote = command("vote", {
  family: "host",
  roles: ["app"],
  description: "One more vote.",
  payload: { for: Schema.String },
  success: Schema.Struct({ votes: Schema.Int })
})
const Winner = query("winner", {
  family: "host",
  roles: ["app"],
  description: "Who has the most votes.",
  payload: {},
  success: Schema.Struct({ name: Schema.NullOr(Schema.String) })
})
const POLL = protocol(Vote, Winner)

const poll = behave({
  protocol: POLL,
  initial: () => new Map<string, number>(),
  handlers: {
    vote: (votes, { for: name }) => {
      const count = (votes.get(name) ?? 0) + 1
      return { state: new Map(votes).set(name, count), reply: { votes: count } }
    },
    winner: (votes) => {
      const [first] = [...votes].sort(([, a], [, b]) => b - a)
      return { reply: { name: first?.[0] ?? null } }
    }
  },
  show: (votes) => Object.fromEntries(votes)
})

const program = Effect.gen(function* () {
  const system = yield* ActorSystem
  const who = installationPrincipal("default", "example")
  const ref = yield* system.spawn({ address: tenantAddress("poll", "default"), ...poll })
  for (const name of ["tea", "coffee", "tea"]) yield* ref.ask("vote", { for: name }, who)
  const { name } = yield* ref.ask("winner", {}, who)
  yield* Effect.sync(() => console.log(`The winner is ${name}`))
})

const dataDirectory = mkdtempSync(join(tmpdir(), "bursar-"))
await Effect.runPromise(Effect.provide(program, layer({ dataDirectory })))
