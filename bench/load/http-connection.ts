/**
 * One keep-alive HTTP/1.1 connection with one request at a time, as cheap as Node allows: the load generator shares the
 * machine with what it measures, and every microsecond of its own is one less for the server.
 * Reads bodies by Content-Length only; anything else is an error, not a case.
 */
import { connect, type Socket } from 'node:net'

/** @param body valid until the next answer on any connection: the bytes are not copied. */
export type OnAnswer = (status: number, body: Buffer) => void

// One read buffer serves every connection: Node hands it over and takes it back within one call.
const shared = Buffer.allocUnsafe(512 * 1024)
const END_OF_HEAD = Buffer.from('\r\n\r\n')
const LENGTH = 'content-length: '

export class HttpConnection {
  readonly #socket: Socket
  #kept: Buffer | undefined
  #bodyAt = -1
  #total = 0
  #onAnswer: OnAnswer | undefined

  private constructor(port: number, onConnect: () => void, onFailure: (error: Error) => void) {
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
    this.#socket.once('connect', onConnect)
    this.#socket.on('error', onFailure)
    this.#socket.on('close', () => {
      if (this.#onAnswer) onFailure(new Error('connection closed before the answer'))
    })
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const connection = new HttpConnection(port, () => resolve(connection), reject)
    })
  }

  get isOpen(): boolean {
    return this.#socket.readyState === 'open'
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  /** @param request head and body in Latin-1. */
  send(request: string, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer
    this.#socket.write(request, 'latin1')
  }

  /** For what is not in a hot loop; the body is copied. */
  ask(request: string): Promise<{ status: number; body: string }> {
    return new Promise(resolve =>
      this.send(request, (status, body) => resolve({ status, body: body.toString('latin1') })),
    )
  }

  close(): void {
    this.#onAnswer = undefined
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    let bytes = chunk
    if (this.#kept !== undefined) bytes = Buffer.concat([this.#kept, chunk])
    if (this.#bodyAt < 0) {
      const end = bytes.indexOf(END_OF_HEAD)
      if (end >= 0) {
        this.#bodyAt = end + 4
        this.#total = this.#bodyAt + contentLength(bytes.toString('latin1', 0, end).toLowerCase())
      }
    }
    if (this.#bodyAt < 0 || bytes.length < this.#total) {
      this.#kept = this.#kept === undefined ? Buffer.from(bytes) : bytes
      return
    }
    const status = (bytes[9]! - 48) * 100 + (bytes[10]! - 48) * 10 + (bytes[11]! - 48)
    const body = bytes.subarray(this.#bodyAt, this.#total)
    const onAnswer = this.#onAnswer
    this.#kept = undefined
    this.#bodyAt = -1
    this.#onAnswer = undefined
    onAnswer?.(status, body)
  }
}

function contentLength(head: string): number {
  const at = head.indexOf(LENGTH)
  if (at < 0) throw new Error(`no content-length in: ${head}`)
  return Number.parseInt(head.slice(at + LENGTH.length), 10)
}

/** @param headers further header lines, each ended by CRLF. */
export function post(path: string, headers: string, body: string, type = 'application/json'): string {
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}content-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}
