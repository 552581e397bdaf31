/** The program on its embedded store, killed and stopped in the middle of load. */
import { makeData } from "../support/Program.ts"
import { endingInTheMiddle } from "./support/Killing.ts"

endingInTheMiddle("the embedded store", 6, async () => ({ data: await makeData() }))
