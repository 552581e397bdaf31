/**
 * What an actor takes: a record of signals, by name.
 *
 * Owns: the types that follow from such a record, and making one. The product's own is `ACTOR_SIGNALS`; whoever builds
 * on the runtime makes others.
 * Does not decide: what a signal is (Signal).
 */
import type { Context, Schema } from "effect"

/** A signal's definition, as `query` and `command` make it. */
export interface AnySignal {
  readonly _tag: string
  readonly payloadSchema: Schema.Top
  readonly successSchema: Schema.Top
  readonly annotations: Context.Context<never>
}

/** Signals by their names. */
export interface Protocol {
  readonly [name: string]: AnySignal
}

export type NameIn<P extends Protocol> = keyof P & string
/** What a signal of this protocol takes, once decoded. */
export type PayloadIn<P extends Protocol, Name extends NameIn<P>> = P[Name]["payloadSchema"]["Type"]
/** What a signal of this protocol answers, before it is encoded. */
export type SuccessIn<P extends Protocol, Name extends NameIn<P>> = P[Name]["successSchema"]["Type"]

type ProtocolOf<Definition extends AnySignal> = {
  readonly [D in Definition as D["_tag"]]: D
}

/** The protocol of these signals: `protocol(Add, GetTotal)`. Each has a name of its own. */
export const protocol = <Definitions extends ReadonlyArray<AnySignal>>(
  ...definitions: Definitions
): ProtocolOf<Definitions[number]> => {
  const signals: Record<string, AnySignal> = {}
  for (const definition of definitions) {
    if (Object.hasOwn(signals, definition._tag))
      throw new Error(`Two signals of a protocol are named ${definition._tag}: rename one`)
    signals[definition._tag] = definition
  }
  return signals as ProtocolOf<Definitions[number]>
}
