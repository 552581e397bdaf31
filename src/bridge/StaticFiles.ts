/**
 * The console's files.
 *
 * Owns: which files are served (those that were in the directory at the start, and no others), their types and caching.
 */
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { extname, join, sep } from "node:path"
import { gzipSync } from "node:zlib"
import { type Answer, textAnswer } from "./HttpAnswer.ts"

const TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
  ".map": "application/json; charset=utf-8"
}

/** Nothing inline, nothing from elsewhere: the console needs neither. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

/** A name that carries a hash of its content, as the bundler writes them: `assets/index-D3f9x_2a.js`. */
const HASHED = /^\/assets\/.+-[\w-]{8,}\.\w+$/u

/** Types that shrink when they are compressed. */
const COMPRESSIBLE = new Set([".html", ".js", ".css", ".json", ".webmanifest", ".svg", ".txt", ".map"])

interface File {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Made when somebody takes it first, and only where it is smaller. */
  readonly gzipped: () => Buffer | undefined
}

const readFile = (path: string, name: string): File => {
  const body = readFileSync(path)
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`
  let gzipped: Buffer | undefined
  return {
    body,
    gzipped: () => {
      if (!COMPRESSIBLE.has(extname(name).toLowerCase())) return undefined
      gzipped ??= gzipSync(body)
      return gzipped
    },
    headers: {
      "Content-Type": TYPES[extname(name).toLowerCase()] ?? "application/octet-stream",
      "Cache-Control": HASHED.test(name) ? "public, max-age=31536000, immutable" : "no-cache",
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      Vary: "Accept-Encoding",
      ETag: etag
    }
  }
}

const acceptsGzip = (request: IncomingMessage): boolean =>
  /\bgzip\b(?!;q=0(?:\.0*)?(?:,|$))/u.test(String(request.headers["accept-encoding"] ?? ""))

/** Answers a `GET` of a file, or `undefined` where there is none. `/` is `index.html`. */
export type StaticFiles = (path: string, request: IncomingMessage) => Answer | undefined

const notBuilt: StaticFiles = (path) =>
  path === "/"
    ? textAnswer(
        404,
        "The console is not built: run `npm run build`, then start again. Signals go to /signals.\n"
      )
    : undefined

/** The files below `directory`, read when they are asked for first. */
export const makeStaticFiles = (directory: string | undefined): StaticFiles => {
  if (directory === undefined || !existsSync(join(directory, "index.html"))) return notBuilt
  const paths = new Map<string, string>()
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    paths.set(path.slice(directory.length).split(sep).join("/").replace(/^\/*/u, "/"), path)
  }
  const files = new Map<string, File>()
  const fileOf = (name: string): File | undefined => {
    const path = paths.get(name)
    const known = files.get(name)
    if (path === undefined || known !== undefined) return known
    const file = readFile(path, name)
    files.set(name, file)
    return file
  }
  return (path, request) => {
    const file = fileOf(path === "/" ? "/index.html" : path)
    if (file === undefined) return undefined
    if (request.headers["if-none-match"] === file.headers.ETag) return { status: 304, headers: file.headers }
    const gzipped = acceptsGzip(request) ? file.gzipped() : undefined
    return gzipped === undefined
      ? { status: 200, headers: file.headers, body: file.body }
      : { status: 200, headers: { ...file.headers, "Content-Encoding": "gzip" }, body: gzipped }
  }
}
