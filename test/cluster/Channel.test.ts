/** A node that closes waits for nobody who connects at that moment. */
import { once } from "node:events"
import { connect as connectTcp } from "node:net"
import { connect as connectTls } from "node:tls"
import { it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { listen } from "../../src/cluster/Channel.ts"

const key = Buffer.alloc(32, 7)
const PSK = {
  minVersion: "TLSv1.3",
  pskCallback: () => ({ psk: key, identity: "bursar" }),
  checkServerIdentity: () => undefined
} as const

it("a connection whose handshake ends while a node closes does not keep it", {
  timeout: 20_000
}, async () => {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(
    Scope.provide(listen({ host: "127.0.0.1", port: 0, key: Redacted.make(key) }), scope)
  )
  if (!("port" in server.address)) throw new Error("it listens on no port")
  const { port } = server.address
  const late = connectTcp(port, "127.0.0.1")
  await once(late, "connect")
  // Who came after it is in: so it is accepted, and has said nothing yet.
  const early = connectTls({ ...PSK, host: "127.0.0.1", port })
  await once(early, "secureConnect")
  const gone = once(early, "close")
  const closing = Effect.runPromise(Scope.close(scope, Exit.void))
  await gone
  const refused = connectTls({ ...PSK, socket: late })
  refused.on("error", () => undefined)
  await closing
})
