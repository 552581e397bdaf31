/** The program on a Postgres server, killed and stopped in the middle of load. */
import { makeDatabase } from "../support/Program.ts"
import { endingInTheMiddle } from "./support/Killing.ts"

endingInTheMiddle("a Postgres server", 20, async () => ({ databaseUrl: await makeDatabase() }))
