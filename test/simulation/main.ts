/**
 * `npm run simulate`: random histories of a tenant's money, many more than the tests run; with `--machines`, of durable
 * machines and their child machines.
 *
 * Options: `--seed N` begins with that seed (otherwise a new one each time, which is printed), `--histories N` runs so
 * many (100,000, of machines 2,000, unless it says otherwise), `--tell` says all that happens in them. Ends at the first history that breaks a rule, and says how to see it again.
 */
import { parseArgs } from "node:util"
import { HistoryFailure, runHistory } from "./History.ts"
import { MachineHistoryFailure, runMachineHistory } from "./MachineHistory.ts"

/** A progress line after so many. */
const TOLD_EVERY = 10_000

const countIn = (name: string, text: string): number => {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count >= 0) return count
  throw new Error(`--${name} is a whole number, not ${text}`)
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    machines: { type: "boolean", default: false },
    histories: { type: "string" },
    tell: { type: "boolean", default: false }
  }
})
const first = values.seed === undefined ? Date.now() % 1_000_000_000 : countIn("seed", values.seed)
const histories = countIn("histories", values.histories ?? (values.machines ? "2000" : "100000"))
const tell = values.tell ? console.log : undefined

console.log(`${histories} histories${values.machines ? " of machines" : ""} from seed ${first} on`)
const startedAt = performance.now()
const seconds = (): string => `${Math.round((performance.now() - startedAt) / 1000)} s`
try {
  for (let done = 0; done < histories; done++) {
    if (values.machines) await runMachineHistory(first + done, tell)
    else runHistory(first + done, tell)
    if ((done + 1) % (values.machines ? TOLD_EVERY / 100 : TOLD_EVERY) === 0)
      console.log(`${done + 1} done, ${seconds()}`)
  }
  console.log(`No rule was broken in ${histories} histories from seed ${first} on; ${seconds()}`)
} catch (error) {
  if (!(error instanceof HistoryFailure || error instanceof MachineHistoryFailure)) throw error
  console.error(error.message)
  process.exitCode = 1
}
