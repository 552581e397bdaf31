/**
 * How many durable machines of a kind a tenant may have that have not ended.
 *
 * Owns: the bound, and counting: the store is asked while nothing of the tenant is on its way there, and from then on each
 * beginning is counted here. So N beginnings at once with room for k begin exactly k, also after a restart or a move.
 * Does not decide: what a machine is, or when it ends. Ends are seen when it is counted anew.
 */
import { Context, Effect, Semaphore } from "effect"
import { Overloaded, type Unavailable } from "../signal/Errors.ts"
import type { Address } from "./Address.ts"

/** Of each kind, for each tenant, where the kind says nothing else. */
export const OpenMachinesMax = Context.Reference<number>("bursar/actor/OpenMachinesMax", {
  defaultValue: () => 100_000
})

const RETRY_AFTER_MS = 1_000
/** Tenants whose room is known; more are counted anew. */
const ROOMS_MAX = 10_000

interface Room {
  /** How many may still begin before it has to be counted again. */
  left: number
  /** Beginnings that are on their way to the store. */
  onTheirWay: number
  readonly counting: Semaphore.Semaphore
  /** Called when nothing is on its way. */
  onCalm: (() => void) | undefined
}

type Count = (tenant: string, kind: string) => Effect.Effect<number, Unavailable>

const full = ({ kind, tenant }: Address, max: number): Overloaded =>
  new Overloaded({
    message: `The tenant ${tenant} has ${max} of the kind ${kind} that have not ended, which is its bound: cancel some, or wait until some have ended, and send it again`,
    retry_after_ms: RETRY_AFTER_MS
  })

export class OpenMachines {
  readonly #count: Count
  readonly #rooms = new Map<string, Room>()

  constructor(count: Count) {
    this.#count = count
  }

  /** Begins one more, where there is room. */
  begun<A>(
    address: Address,
    max: number,
    begin: Effect.Effect<A>
  ): Effect.Effect<A, Overloaded | Unavailable> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const room = this.#roomOf(address)
        // What was left when it was counted may be taken by others meanwhile.
        while (!this.#take(room)) {
          const left = yield* restore(this.#counted(room, address, max))
          if (left === 0) return yield* full(address, max)
        }
        return yield* Effect.ensuring(
          restore(begin),
          Effect.sync(() => this.#hasBegun(room))
        )
      })
    )
  }

  /** Others may begin some from here on: their tenants are counted again. */
  forget(isGone: (address: Address) => boolean): void {
    for (const [text, { onTheirWay }] of this.#rooms) {
      const [kind = "", tenant = ""] = text.split("/", 2)
      if (onTheirWay === 0 && isGone({ kind, tenant, text })) this.#rooms.delete(text)
    }
  }

  #roomOf({ kind, tenant = "" }: Address): Room {
    const text = `${kind}/${tenant}`
    const known = this.#rooms.get(text)
    if (known !== undefined) return known
    if (this.#rooms.size >= ROOMS_MAX) this.forget(() => true)
    const room: Room = { left: 0, onTheirWay: 0, counting: Semaphore.makeUnsafe(1), onCalm: undefined }
    this.#rooms.set(text, room)
    return room
  }

  #counted(room: Room, { tenant = "", kind }: Address, max: number): Effect.Effect<number, Unavailable> {
    return room.counting.withPermits(1)(
      Effect.gen({ self: this }, function* () {
        if (room.left > 0) return room.left
        yield* this.#calm(room)
        room.left = Math.max(0, max - (yield* this.#count(tenant, kind)))
        return room.left
      })
    )
  }

  #take(room: Room): boolean {
    if (room.left <= 0) return false
    room.left -= 1
    room.onTheirWay += 1
    return true
  }

  #hasBegun(room: Room): void {
    room.onTheirWay -= 1
    if (room.onTheirWay > 0) return
    room.onCalm?.()
    room.onCalm = undefined
  }

  /** What is on its way would be counted twice, or not at all. Nothing more begins meanwhile. */
  #calm(room: Room): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (room.onTheirWay === 0) return resume(Effect.void)
      room.onCalm = () => resume(Effect.void)
    })
  }
}
