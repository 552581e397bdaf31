/** A real SMTP server in this process, and the letters that it took, byte by byte. */
import type { AddressInfo } from "node:net"
import { SMTPServer, type SMTPServerOptions } from "smtp-server"

export interface Letter {
  readonly from: string
  readonly to: ReadonlyArray<string>
  /** Header lines by name in lower case, unfolded. A name that comes twice has two values. */
  readonly headers: ReadonlyMap<string, ReadonlyArray<string>>
  readonly body: string
  readonly isEncrypted: boolean
  readonly user: string | undefined
}

const readHeaders = (text: string): Letter["headers"] => {
  const headers = new Map<string, Array<string>>()
  for (const line of text.replace(/\r\n[ \t]+/gu, " ").split("\r\n")) {
    const at = line.indexOf(":")
    const name = line.slice(0, at).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(at + 1).trim()])
  }
  return headers
}

const decodeQuoted = (text: string): string =>
  Buffer.from(
    text
      .replace(/=\r\n/gu, "")
      .replace(/=([0-9A-F]{2})/gu, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1"
  ).toString("utf8")

/** The text as a person reads it. */
export const textOf = ({ headers, body }: Letter): string => {
  const [encoding] = headers.get("content-transfer-encoding") ?? []
  return encoding === "quoted-printable" ? decodeQuoted(body) : body
}

/** A header as a person reads it. */
export const decodeWords = (header: string): string =>
  header
    .replace(/\?= =\?/gu, "?==?")
    .replace(/=\?utf-8\?([QB])\?([^?]*)\?=/giu, (_, kind: string, text: string) =>
      kind.toUpperCase() === "B"
        ? Buffer.from(text, "base64").toString("utf8")
        : decodeQuoted(text.replaceAll("_", " "))
    )

export class Postbox {
  readonly port: number
  readonly letters: Array<Letter> = []
  readonly close: () => Promise<void>
  /** What the server says to a recipient: nothing, or an error with a code. */
  refuse: (to: string) => { readonly code: number; readonly text: string } | undefined = () => undefined
  readonly #waiting: Array<{ readonly count: number; readonly resolve: () => void }> = []

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.close = close
  }

  static async open(options: SMTPServerOptions = {}): Promise<Postbox> {
    let postbox: Postbox | undefined
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: options.key === undefined ? ["STARTTLS"] : [],
      onRcptTo: ({ address }, _session, callback) => {
        const refusal = postbox?.refuse(address)
        if (refusal === undefined) callback()
        else callback(Object.assign(new Error(refusal.text), { responseCode: refusal.code }))
      },
      onData: (stream, session, callback) => {
        const chunks: Array<Buffer> = []
        stream.on("data", (chunk: Buffer) => chunks.push(chunk))
        stream.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8")
          const end = text.indexOf("\r\n\r\n")
          const { mailFrom, rcptTo } = session.envelope
          postbox?.take({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            headers: readHeaders(text.slice(0, end)),
            body: text.slice(end + 4),
            isEncrypted: session.secure,
            user: session.user as string | undefined
          })
          callback()
        })
      },
      ...options
    })
    server.on("error", () => {})
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
    const { port } = server.server.address() as AddressInfo
    postbox = new Postbox(port, () => new Promise((resolve) => server.close(() => resolve())))
    return postbox
  }

  take(letter: Letter): void {
    this.letters.push(letter)
    for (const { count, resolve } of this.#waiting) if (this.letters.length >= count) resolve()
  }

  until(count: number): Promise<void> {
    if (this.letters.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }
}
