/**
 * Three JSON-RPC clients that are not ours, each as its own documentation says. Each gives a `Call` to the story.
 */
import jayson from "jayson/promise/index.js"
import { JSONRPCClient, type JSONRPCResponse } from "json-rpc-2.0"
import { Client as RpcWebSockets } from "rpc-websockets"
import WebSocket from "ws"
import type { Call } from "./Story.ts"

/** What a client says, and how it goes home. */
interface ForeignClient {
  readonly call: Call
  readonly close: () => void
}

type Open = (url: string, key: string) => Promise<ForeignClient>

const socketUrl = (url: string) => `${url.replace(/^http/u, "ws")}/signals`

const opened = (ws: WebSocket) =>
  new Promise<void>((resolve, reject) => {
    ws.once("open", resolve)
    ws.once("error", reject)
  })

const overHttp: Open = async (url, key) => {
  const client: JSONRPCClient = new JSONRPCClient(async (request) => {
    const response = await fetch(`${url}/signals`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(request)
    })
    if (response.status === 200) client.receive((await response.json()) as JSONRPCResponse)
    else if (request.id !== undefined) throw new Error(response.statusText)
  })
  return { call: (method, params) => client.request(method, params), close: () => {} }
}

const overSocket: Open = async (url, key) => {
  const ws = new WebSocket(socketUrl(url), ["bursar.v1", `bearer.${key}`])
  await opened(ws)
  const client = new JSONRPCClient((request) => ws.send(JSON.stringify(request)))
  ws.on("message", (data) => client.receive(JSON.parse(String(data))))
  return { call: (method, params) => client.request(method, params), close: () => ws.close() }
}

const rpcWebSockets: Open = async (url, key) => {
  const options = { headers: { Authorization: `Bearer ${key}` }, reconnect: false }
  const client = new RpcWebSockets(socketUrl(url), options)
  await new Promise((resolve, reject) => {
    client.once("open", resolve)
    client.once("error", reject)
  })
  return { call: (method, params) => client.call(method, params), close: () => client.close() }
}

/** jayson answers the whole response: the result, or the error. */
const unwrap = (response: { readonly result?: unknown; readonly error?: object }) => {
  if (response.error !== undefined) throw response.error
  return response.result
}

const jaysonHttp: Open = async (url, key) => {
  const { hostname, port } = new URL(url)
  const headers = { Authorization: `Bearer ${key}` }
  const client = jayson.Client.http({ host: hostname, port: Number(port), path: "/signals", headers })
  return { call: async (method, params) => unwrap(await client.request(method, params)), close: () => {} }
}

const jaysonSocket: Open = async (url, key) => {
  const ws = new WebSocket(socketUrl(url), { headers: { Authorization: `Bearer ${key}` } })
  await opened(ws)
  const client = jayson.Client.websocket({ ws })
  return {
    call: async (method, params) => unwrap(await client.request(method, params)),
    close: () => ws.close()
  }
}

export const FOREIGN_CLIENTS: { readonly [name: string]: Open } = {
  "json-rpc-2.0 over HTTP": overHttp,
  "json-rpc-2.0 over WebSocket": overSocket,
  "rpc-websockets": rpcWebSockets,
  "jayson over HTTP": jaysonHttp,
  "jayson over WebSocket": jaysonSocket
}
