/**
 * A request whose body is kept as it comes and handed over whole. Most bodies are short and come together with the head;
 * to read one as a stream, with its listeners and four rounds of `nextTick`, took a seventh of what a poll takes
 * (docs/performance.md). Who reads it as a stream has one all the same; one that was taken emits no `close`.
 */
import { IncomingMessage } from 'node:http'
import { TransmitterError } from '../errors.ts'

/** Called once. */
export type BodyTaker = (error: TransmitterError | undefined, body: Buffer) => void

const EMPTY = Buffer.alloc(0)

export class RequestMessage extends IncomingMessage {
  #chunks: Buffer[] = []
  #bytes = 0
  #maxBytes = Number.POSITIVE_INFINITY
  #taker: BodyTaker | undefined
  #isTaken = false
  #isStream = false

  /**
   * At most once, and not by one who reads the stream.
   * Fails with `too_large` as soon as that is known, with `bad_request` when the client leaves before the end, or has left:
   * nobody would tell again that it did.
   */
  takeBody(maxBytes: number, taker: BodyTaker): void {
    this.#taker = taker
    this.#maxBytes = maxBytes
    this.#isTaken = true
    // Has Node.js know that the body is read, and go on reading where `push` had it wait.
    this._read(0)
    if (this.destroyed) this.#hand(hasLeft())
    else if (Number(this.headers['content-length']) > maxBytes || this.#bytes > maxBytes) this.#refuse()
    else if (this.complete) this.#hand(undefined)
  }

  /** By the parser of Node.js, for each piece that came, and with null behind the last one. */
  override push(chunk: Buffer | null): boolean {
    if (this.#isStream) return super.push(chunk)
    if (chunk === null) {
      this.#hand(undefined)
      // For Node.js, which waits for it where the answer came first.
      if (this.#isTaken) this.emit('end')
      return false
    }
    if (this.#isTaken && this.#taker === undefined) return true
    this.#bytes += chunk.length
    this.#chunks.push(chunk)
    if (this.#bytes > this.#maxBytes) this.#refuse()
    return this.#isTaken || this.#bytes < this.readableHighWaterMark
  }

  override read(size?: number): unknown {
    if (!this.#isTaken && !this.#isStream) {
      this.#isStream = true
      for (const chunk of this.#chunks) super.push(chunk)
      this.#chunks = []
      if (this.complete) super.push(null)
    }
    return super.read(size)
  }

  /** By Node.js, when all was answered and nobody read the body. Without this method it would read it as a stream. */
  _dump(): void {
    if (this.#isStream) return void this.resume()
    this.#isTaken = true
    this.#chunks = []
    this._read(0)
  }

  /** Asked by Node.js when the answer is out, to forget the message, and when the socket closes, to tell an abort. */
  // @ts-expect-error its types make a field of what is an accessor
  override get readableEnded(): boolean {
    return this.#isTaken ? this.complete : Reflect.get(IncomingMessage.prototype, 'readableEnded', this)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    super._destroy(error, callback)
    if (this.#taker !== undefined) this.#hand(hasLeft(error))
  }

  #refuse(): void {
    this.#hand(new TransmitterError('too_large', 'The body is too large.'))
  }

  #hand(error: TransmitterError | undefined): void {
    const taker = this.#taker
    if (taker === undefined) return
    const [first = EMPTY] = this.#chunks
    const body = this.#chunks.length > 1 ? Buffer.concat(this.#chunks, this.#bytes) : first
    this.#taker = undefined
    this.#chunks = []
    taker(error, error === undefined ? body : EMPTY)
  }
}

function hasLeft(cause?: Error | null): TransmitterError {
  return new TransmitterError('bad_request', 'The client left before it was answered.', { cause })
}
