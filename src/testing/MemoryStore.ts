/**
 * A whole store in memory.
 *
 * Owns: that its parts belong together, as those of one database do.
 * Does not decide: what each of them promises (store/, bridge/).
 */
import { Effect, Layer } from "effect"
import { DeadLetterStore } from "../actor/DeadLetterStore.ts"
import { MachineStore } from "../actor/MachineStore.ts"
import { DeliveryStore } from "../alerts/DeliveryStore.ts"
import { layerMemory as credentials } from "../bridge/MemoryCredentials.ts"
import { CompletionLog } from "../provider/BudgetKeeper.ts"
import { MemoryCompletionLog } from "../store/MemoryCompletionLog.ts"
import { makeMemoryDeadLetters } from "../store/MemoryDeadLetters.ts"
import { MemoryDeliveries, memoryDeliveryStore } from "../store/MemoryDeliveries.ts"
import { makeMemoryLedgerStore } from "../store/MemoryLedgerStore.ts"
import { memoryMachineStore } from "../store/MemoryMachineStore.ts"
import { makeMemoryPseudonyms } from "../store/MemoryPseudonyms.ts"
import { makeMemoryRefusals } from "../store/MemoryRefusals.ts"
import { LedgerStore } from "../tokens/LedgerStore.ts"
import { PseudonymStore } from "../tokens/PseudonymStore.ts"
import { RefusalStore } from "../tokens/RefusalStore.ts"

/** Each time that it is built it is another one, and empty. */
export const memoryStore = Layer.unwrap(
  Effect.sync(() => {
    const letters = makeMemoryDeadLetters()
    const deliveries = new MemoryDeliveries(letters)
    const ledger = makeMemoryLedgerStore({ deliveries })
    const anonymising = new Set<string>()
    const commit: LedgerStore["commit"] = (claim, batch) =>
      Effect.tap(ledger.commit(claim, batch), () =>
        Effect.sync(() => {
          if (batch.config === undefined) return
          if (batch.config.anonymize_users) anonymising.add(claim.tenant)
          else anonymising.delete(claim.tenant)
        })
      )
    return Layer.mergeAll(
      Layer.succeed(LedgerStore, { ...ledger, commit }),
      Layer.succeed(DeliveryStore, memoryDeliveryStore(deliveries)),
      Layer.succeed(PseudonymStore, makeMemoryPseudonyms(anonymising)),
      Layer.succeed(DeadLetterStore, letters),
      Layer.sync(RefusalStore, makeMemoryRefusals),
      Layer.sync(MachineStore, () => memoryMachineStore()),
      Layer.sync(CompletionLog, () => new MemoryCompletionLog()),
      credentials
    )
  })
)
