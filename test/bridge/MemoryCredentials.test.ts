import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import { keyStoreContract } from "../contract/KeyStoreContract.ts"

keyStoreContract("in memory", layerMemory)
