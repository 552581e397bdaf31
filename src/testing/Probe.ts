/**
 * An actor that records what it gets.
 *
 * Owns: keeping signals in the order of their coming until a test takes them, and answering those that it was told to.
 * Does not decide: what a test makes of them.
 */
import { Effect, Schema } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import { ActorSystem } from "../actor/ActorSystem.ts"
import type { Address } from "../actor/Address.ts"
import type { EnvelopeIn } from "../actor/Envelope.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import { isRefusal } from "../signal/Refusing.ts"
import { settle } from "./VirtualTime.ts"

/** What was expected did not come. */
export class NotSeen extends Schema.TaggedError<NotSeen>()("NotSeen", { message: Schema.String }) {}

/** Things with names, in the order of their coming, each of which can be taken once. */
export class Recorder<A extends { readonly name: string }> {
  readonly #source: () => ReadonlyArray<A>
  readonly #taken = new WeakSet<A>()

  constructor(source: () => ReadonlyArray<A>) {
    this.#source = source
  }

  /** What came and was not taken. */
  get all(): ReadonlyArray<A> {
    return this.#source().filter((item) => !this.#taken.has(item))
  }

  /** Takes the first that is so, once it is there; the others stay. Without time passing. */
  take<B extends A>(what: string, isIt: (item: A) => item is B): Effect.Effect<B, NotSeen> {
    const find = (): B | undefined => {
      const found = this.all.find(isIt)
      if (found !== undefined) this.#taken.add(found)
      return found
    }
    return Effect.gen({ self: this }, function* () {
      const found = find()
      if (found !== undefined) return found
      yield* settle
      const late = find()
      if (late !== undefined) return late
      const seen = this.all.map(({ name }) => name).join(", ") || "nothing"
      return yield* new NotSeen({
        message: `${what} did not come; what came and was not taken yet: ${seen}. If it comes later, let time pass first`
      })
    })
  }
}

/** Answers of a probe: a result, or an error. A signal without one waits until the test answers it. */
export type ProbeAnswers<P extends Protocol> = {
  readonly [Name in NameIn<P>]?: (payload: PayloadIn<P, Name>) => SuccessIn<P, Name> | SignalError
}

export interface Probe<P extends Protocol> {
  readonly ref: ActorRef<P>
  /** What came and was not taken by `expectSignal`. */
  readonly received: ReadonlyArray<EnvelopeIn<P>>
  /** The next signal of this name. It can be answered (`succeed`, `fail`), if the probe has not done that. */
  readonly expectSignal: <Name extends NameIn<P>>(
    name: Name,
    where?: (payload: PayloadIn<P, Name>) => boolean
  ) => Effect.Effect<EnvelopeIn<P, Name>, NotSeen>
  /** Fails if something came that was not taken. */
  readonly expectNothing: Effect.Effect<void, NotSeen>
}

/**
 * Lives at the address in place of whoever would live there otherwise, until its system ends. It has to be the first there: where
 * somebody lives already it would get nothing, and dies with the reason.
 */
export const makeProbe = <P extends Protocol>(options: {
  readonly address: Address
  readonly protocol: P
  readonly answers?: ProbeAnswers<P>
}): Effect.Effect<Probe<P>, never, ActorSystem> =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const { text } = options.address
    if (system.entry(text) !== undefined)
      return yield* Effect.die(
        new Error(`Somebody lives at ${text} already: make the probe first, or stop who lives there`)
      )
    const received: Array<EnvelopeIn<P>> = []
    const recorder = new Recorder<EnvelopeIn<P>>(() => received)
    const answer = (envelope: EnvelopeIn<P>): void => {
      const made = options.answers?.[envelope.name as NameIn<P>]?.(envelope.payload as never)
      if (made === undefined) return
      if (isRefusal(made)) envelope.fail(made)
      else envelope.succeed(made as never)
    }
    const ref = yield* system.spawn<P>({
      address: options.address,
      protocol: options.protocol,
      behaviour: ({ ref: { mailbox } }) =>
        Effect.forever(
          Effect.map(mailbox.nonEmpty, () => {
            for (const envelope of mailbox.takeNow(Number.POSITIVE_INFINITY)) {
              received.push(envelope)
              answer(envelope)
            }
          })
        )
    })
    return {
      ref,
      get received() {
        return recorder.all
      },
      expectSignal: <Name extends NameIn<P>>(
        name: Name,
        where: (payload: PayloadIn<P, Name>) => boolean = () => true
      ) =>
        recorder.take(
          `The signal ${name}`,
          (item): item is EnvelopeIn<P, Name> =>
            item.name === name && where(item.payload as PayloadIn<P, Name>)
        ),
      expectNothing: Effect.flatMap(settle, () =>
        recorder.all.length === 0
          ? Effect.void
          : Effect.fail(
              new NotSeen({
                message: `Nothing was expected; what came: ${recorder.all.map(({ name }) => name).join(", ")}`
              })
            )
      )
    }
  })
