/**
 * docker-compose.yml and the Dockerfile, without Docker: both services' commands with the environment that compose gives
 * them, as plain processes on a real Postgres server. What differs is what containers would give: each a network of its own
 * (here, free ports of this machine) and a host name that the other one resolves.
 */
import { execFile, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll, vi } from "vitest"
import { parse } from "yaml"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { callOverHttp, eventually, type Json } from "../support/Wire.ts"

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const END_WITH_PARENT = new URL("../support/EndWithParent.ts", import.meta.url).href
const textOf = (file: string): string => readFileSync(join(ROOT, file), "utf8")

interface Service {
  readonly command: ReadonlyArray<string>
  readonly environment: { readonly [name: string]: string | null }
  readonly depends_on: { readonly [service: string]: { readonly condition: string } }
  readonly ports: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
}

const compose = parse(textOf("docker-compose.yml"), { merge: true }) as {
  readonly services: { readonly [name: string]: Service }
}
const NODES = ["bursar", "bursar-2"] as const
const serviceOf = (name: string): Service => compose.services[name] as Service

const dockerfile = textOf("Dockerfile").replaceAll(/\\\n\s*/gu, " ")
/** What the image sets. */
const imageEnv = Object.fromEntries(
  Array.from(/^ENV (.+)$/gmu.exec(dockerfile)?.[1]?.matchAll(/(\S+?)=(\S+)/gu) ?? [], ([, name, value]) => [
    name as string,
    value as string
  ])
)
const healthCheck = JSON.parse(
  /^HEALTHCHECK .*? CMD (\[.+\])$/mu.exec(dockerfile)?.[1] ?? "[]"
) as Array<string>

/** What somebody's shell or .env sets: no more than is asked for. */
const SHELL: { readonly [name: string]: string } = { POSTGRES_PASSWORD: "letters1and2digits" }

/** `${NAME}`, `${NAME:-default}`, `${NAME:?why}`; a variable without a value is passed on where the shell has it. */
const resolve = (name: string, value: string | null): string | undefined => {
  if (value === null) return SHELL[name]
  return value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/gu, (_, variable: string, kind, rest) => {
    const set = SHELL[variable]
    if (set !== undefined) return set
    if (kind === "-") return rest
    throw new Error(`${variable} is not set: ${rest}`)
  })
}

const environmentOf = (service: Service): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries({ ...imageEnv, ...service.environment }).flatMap(([name, value]) => {
      const resolved = resolve(name, value)
      return resolved === undefined ? [] : [[name, resolved]]
    })
  )

describe("docker-compose.yml", () => {
  it("names only variables that there are, and starts each node when what it needs is there", () => {
    const known = new Set(
      textOf(".env.example")
        .match(/^(?:# )?[A-Z_0-9]+(?==)/gmu)
        ?.map((name) => name.replace("# ", ""))
    )
    for (const name of NODES) {
      const { environment, depends_on, ports, volumes } = serviceOf(name)
      assert.deepStrictEqual(
        Object.keys(environment).filter((variable) => !known.has(variable)),
        [],
        `${name}: .env.example has them all`
      )
      assert.deepInclude(environmentOf(serviceOf(name)), {
        DATABASE_URL: `postgres://bursar:${SHELL.POSTGRES_PASSWORD}@postgres:5432/bursar`,
        BURSAR_NODE_HOST: "0.0.0.0",
        // The name under which compose's network knows it.
        BURSAR_NODE_ADDRESS: name
      })
      assert.isTrue(ports.every((port) => port.endsWith(`:${imageEnv.BURSAR_PORT}`)))
      assert.include(volumes, `data:${imageEnv.BURSAR_DATA}`)
      const conditions = Object.values(depends_on).map(({ condition }) => condition)
      assert.deepStrictEqual(conditions, ["service_healthy"])
    }
    assert.hasAllKeys(serviceOf("bursar").depends_on, ["postgres"])
    assert.hasAllKeys(serviceOf("bursar-2").depends_on, ["bursar"])
    assert.notDeepEqual(serviceOf("bursar").ports, serviceOf("bursar-2").ports)
  })
})

describe("its two nodes, as plain processes", () => {
  let database: TestDatabase
  /** The volume that they share. */
  let data: string
  const ends: Array<() => Promise<unknown>> = []
  beforeAll(async () => {
    database = await createTestDatabase()
    data = mkdtempSync(join(tmpdir(), "bursar-compose-"))
  })
  afterAll(async () => {
    await Promise.all(ends.map((end) => end()))
    await database.drop()
    rmSync(data, { recursive: true, force: true })
  })

  const start = (name: string): Promise<string> => {
    const service = serviceOf(name)
    const [program, ...args] = service.command
    assert.strictEqual(program, "node")
    const child = spawn(process.execPath, ["--import", END_WITH_PARENT, ...args], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH ?? "",
        ...environmentOf(service),
        DATABASE_URL: database.url,
        BURSAR_DATA: data,
        BURSAR_PORT: "0",
        BURSAR_NODE_PORT: "0",
        BURSAR_NODE_ADDRESS: "127.0.0.1"
      },
      stdio: ["pipe", "pipe", "pipe"]
    })
    const exited = new Promise((gone) => child.once("exit", gone))
    ends.push(() => {
      child.kill("SIGTERM")
      return exited
    })
    return new Promise((ready, fail) => {
      let said = ""
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (text) => {
          said += String(text)
          const url = /^bursar ready (\S+)$/mu.exec(said)?.[1]
          if (url !== undefined) ready(url)
        })
      void exited.then(() => fail(new Error(`${name} ended: ${said}`)))
    })
  }

  /** The image's own check, where it listens here. */
  const isHealthy = (url: string): Promise<boolean> =>
    new Promise((answer) => {
      const env = { ...imageEnv, BURSAR_PORT: new URL(url).port }
      execFile(process.execPath, healthCheck.slice(1), { env }, (error) => answer(error === null))
    })

  it("are healthy one after the other, and each answers for the other's tenants", async () => {
    const first = await start("bursar")
    assert.isTrue(await eventually(() => isHealthy(first), Boolean))
    const second = await start("bursar-2")
    assert.isTrue(await eventually(() => isHealthy(second), Boolean))
    assert.isFalse(await isHealthy("http://127.0.0.1:9"))
    // Nobody has set a key: the first made it, and both have it from the volume.
    const adminKey = readFileSync(join(data, "admin.key"), "utf8").trim()
    const call = (url: string, method: string, params: Json, key = adminKey): Promise<Json> =>
      callOverHttp(url, method, params, key)
    const statuses = await eventually(
      () => Promise.all([first, second].map((url) => call(url, "get_status", {}))),
      (both) => both.every(({ cluster }) => cluster.shards > 0)
    )
    const [here, there] = statuses.map(({ cluster }) => cluster.node) as [string, string]
    assert.notStrictEqual(here, there)
    const owners = new Map<string, string>()
    for (let n = 0; owners.size < 2; n++) {
      const tenant = `tenant-${n}`
      const { key } = await call(first, "create_key", { name: tenant, roles: ["admin"], tenant })
      const { cluster } = await call(first, "get_status", {}, key)
      owners.set(cluster.owner, key)
    }
    for (const [owner, asked] of [
      [here, second],
      [there, first]
    ] as const) {
      const key = owners.get(owner) as string
      const budget = { name: "all", type: "global", period: "lifetime", limit: "1" }
      const { budget_id } = await call(asked, "create_budget", budget, key)
      for (const url of [first, second]) {
        const { budgets } = await call(url, "get_budget_status", {}, key)
        assert.deepStrictEqual(
          budgets.map((one: Json) => one.id),
          [budget_id]
        )
      }
    }
  })
})
