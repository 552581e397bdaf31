/**
 * Fair turns: contenders run one after the other, round after round.
 *
 * Owns: the order of the turns, and how long each lasts. What else the machine does meanwhile then falls on all.
 */

export interface Contender {
  readonly name: string
  /** Works until `deadline` (on `performance.now`), and says how much was done by then. */
  readonly run: (deadline: number) => Promise<number>
}

export interface RoundOptions {
  readonly rounds: number
  readonly secondsEach: number
  /** Before the first round; what it does is not counted. */
  readonly warmUpSeconds: number
}

const turn = async (contender: Contender, seconds: number): Promise<number> => {
  const startedAt = performance.now()
  const done = await contender.run(startedAt + seconds * 1000)
  return done / seconds
}

/** What each contender did per second, round by round, in the order of `contenders`. */
export const takeTurns = async (
  contenders: ReadonlyArray<Contender>,
  options: RoundOptions
): Promise<ReadonlyArray<ReadonlyArray<number>>> => {
  for (const contender of contenders) await turn(contender, options.warmUpSeconds)
  const perSecond: ReadonlyArray<Array<number>> = contenders.map(() => [])
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      perSecond[index]?.push(await turn(contender, options.secondsEach))
    }
  }
  return perSecond
}
