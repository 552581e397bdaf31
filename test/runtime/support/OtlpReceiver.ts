/**
 * A collector of OpenTelemetry: takes OTLP over HTTP and decodes it.
 *
 * Owns: the spans and the metrics that came, as plain values. It understands JSON; of protobuf it keeps the bytes.
 */
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"

type Value = string | number | boolean | ReadonlyArray<unknown>

interface OtlpValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values: ReadonlyArray<OtlpValue> }
}
interface OtlpAttribute {
  readonly key: string
  readonly value: OtlpValue
}

const plain = (value: OtlpValue): Value => {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plain)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.doubleValue ?? value.boolValue ?? ""
}
const factsOf = (attributes: ReadonlyArray<OtlpAttribute> = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 1: internal, 2: server, 3: client. */
  readonly kind: number
  readonly startMs: number
  readonly endMs: number
  /** 1: fine, 2: failed. */
  readonly status: { readonly code: number; readonly message?: string }
  readonly facts: { readonly [name: string]: Value }
  /** Of the process that sent it. */
  readonly resource: { readonly [name: string]: Value }
  /** Spans of other traces that set it off. */
  readonly links?: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
}

interface MetricPoint {
  readonly facts: { readonly [name: string]: Value }
  readonly count?: number
  readonly sum?: number
  readonly value?: number
}

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export class OtlpReceiver {
  readonly url: string
  readonly requests: Array<Received> = []
  readonly spans: Array<Span> = []
  /** The last points of each metric, and its unit. */
  readonly metrics = new Map<string, { readonly unit: string; readonly points: ReadonlyArray<MetricPoint> }>()
  resource: { readonly [name: string]: Value } = {}
  readonly close: () => Promise<void>

  constructor(port: number, close: () => Promise<void>) {
    this.url = `http://127.0.0.1:${port}`
    this.close = close
  }

  take(received: Received): void {
    this.requests.push(received)
    if (received.headers["content-type"]?.includes("json") !== true) return
    const body = JSON.parse(received.body.toString("utf8"))
    for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
      this.resource = factsOf(resource.attributes)
      for (const span of scopeSpans.flatMap((scope: { spans: unknown }) => scope.spans)) {
        this.spans.push({
          ...span,
          startMs: Number(span.startTimeUnixNano) / 1e6,
          endMs: Number(span.endTimeUnixNano) / 1e6,
          facts: factsOf(span.attributes),
          resource: this.resource
        })
      }
    }
    for (const { scopeMetrics } of body.resourceMetrics ?? []) {
      for (const metric of scopeMetrics.flatMap((scope: { metrics: unknown }) => scope.metrics)) {
        const { dataPoints } = metric.sum ?? metric.gauge ?? metric.histogram ?? { dataPoints: [] }
        this.metrics.set(metric.name, {
          unit: metric.unit,
          points: dataPoints.map((point: Record<string, never>) => ({
            ...point,
            value: Number(point.asDouble ?? point.asInt ?? 0),
            facts: factsOf(point.attributes)
          }))
        })
      }
    }
  }

  /** The spans of one trace, by name, under each other: `complete > chat sim-fast`. */
  tree(traceId: string): ReadonlyArray<string> {
    const own = this.spans.filter((span) => span.traceId === traceId)
    const pathOf = (span: Span): string => {
      const parent = own.find(({ spanId }) => spanId === span.parentSpanId)
      return parent === undefined ? span.name : `${pathOf(parent)} > ${span.name}`
    }
    return own.toSorted((left, right) => left.startMs - right.startMs).map(pathOf)
  }
}

export const startReceiver = async (): Promise<OtlpReceiver> => {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const receiver = new OtlpReceiver((server.address() as AddressInfo).port, async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  })
  server.on("request", (request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      receiver.take({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(parts) })
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  return receiver
}
