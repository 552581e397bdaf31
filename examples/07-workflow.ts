/** A workflow of three agents with a budget of its own, watched as it goes on. `node examples/07-workflow.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startBursar, type WorkflowDefinition } from "../src/index.ts"

const on = { provider: "simulator", model: "sim-fast", max_completion_tokens: 200 }
const report: WorkflowDefinition = {
  name: "report",
  agents: [
    { ...on, name: "research", prompt: "What is known about {{input}}?" },
    { ...on, name: "draft", prompt: "Write it up: {{research}}", depends_on: ["research"] },
    { ...on, name: "review", prompt: "What is wrong with this? {{draft}}", depends_on: ["draft"] }
  ],
  budget: { limit: "5000", measure: "tokens" }
}

await using bursar = await startBursar({
  dataDirectory: mkdtempSync(join(tmpdir(), "bursar-")),
  workflows: [report]
})
const progress = await bursar.subscribe("workflows")
const { workflow_id } = await bursar.send("start_workflow", { workflow: "report", input: "tides" })

for await (const { event } of progress) {
  if (!("workflow" in event)) continue
  const { what, agent, completion_percent, remaining, ended_at } = event.workflow
  // Its budget is made when it has started.
  const left = remaining === null ? "" : `, ${remaining} tokens left`
  console.log(`${what}${agent === null ? "" : ` ${agent}`}: ${completion_percent} %${left}`)
  if (ended_at !== null) break
}

const { workflow } = await bursar.send("get_workflow", { workflow_id })
console.log(workflow.steps.at(-1)?.output)
