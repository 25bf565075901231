/**
 * Takes out of the stream of replies what would cost the client library's parser most. What a poll reads behind its script
 * (see poll-transaction.ts) arrives as several strings and arrays for each SET; made into values one by one they cost the
 * transmitter more than all else that a page needs. Here a page becomes one string, bytes and all, in the stream of replies,
 * and raw-page.ts finds the SETs in it. Replies of scripts alone, and of other calls (request-call.ts), are read by script-reply.ts.
 * The parser is given copies: what was read is overwritten by the next read (one-buffer-connector.ts).
 * Source: the Redis serialization protocol, versions 2 and 3.
 */
import type { PageBuffers } from './page-buffers.ts'
import { ScriptReplyReader } from './script-reply.ts'

/** The calls that wait for a reply, in order. */
export interface CallReplies {
  /** Whether what is answered after so many others is such a call. */
  isFor(after: number): boolean
  /** Answers the first of them, which is one. */
  take(reply: unknown): void
}

/** How the reply to such a transaction begins: two parts, of which the first is the script's, with this word ahead. */
const BEGINNING = Buffer.from('*2\r\n*7\r\n$4\r\npage\r\n')

/** For `$`, as many digits as any length has, and the end of the line. */
const HEADER_ROOM = 16

const CR = 13
const LF = 10
const MINUS = 45
const ZERO = 48
const CONTAINERS: ReadonlySet<number> = new Set(Buffer.from('*~>%'))
const MAP = 37
const PUSH = 62
const STRINGS: ReadonlySet<number> = new Set(Buffer.from('$=!'))

export class PageFraming {
  readonly #decode: (bytes: Buffer) => void
  readonly #buffers: PageBuffers
  readonly #calls: CallReplies
  readonly #reader = new ScriptReplyReader()
  /** What came of a reply that is too short to tell what it will be. */
  #undecided: Buffer | undefined
  /** Parts of the current reply that are still to come, at any depth; 0 between replies. */
  #left = 0
  #page: 'none' | 'ahead' | 'inside' = 'none'
  /** What has come of the page, behind room for the header of the string that it becomes. */
  #pageBytes: Buffer | undefined
  #pageEnd = 0
  /** Of the current part: what remains of its content, or its header as far as it has come. */
  #skip = 0
  #type = 0
  #number = 0
  #isNegative = false
  /** The current reply is none: Redis says something by itself. */
  #isPush = false

  /** @param decode the parser of the client library, which may keep what it is given. */
  constructor(decode: (bytes: Buffer) => void, buffers: PageBuffers, calls: CallReplies) {
    this.#decode = decode
    this.#buffers = buffers
    this.#calls = calls
  }

  write(chunk: Buffer): void {
    const bytes = this.#undecided === undefined ? chunk : Buffer.concat([this.#undecided, chunk])
    this.#undecided = undefined
    let from = 0
    let at = 0
    /** Replies that end between the two. */
    let behind = 0
    while (at < bytes.length) {
      if (this.#left === 0) {
        if (this.#calls.isFor(behind)) {
          if (at > from) this.#decode(Buffer.from(bytes.subarray(from, at)))
          from = at
          behind = 0
          // Asked again: the parser, which answers a reply before its last bytes have come, may have been one ahead.
          const reply = this.#calls.isFor(0) ? this.#reader.read(bytes, at) : undefined
          if (reply !== undefined) {
            at = this.#reader.end
            from = at
            this.#calls.take(reply)
            continue
          }
        }
        const isPage = begins(bytes, at)
        if (isPage === undefined) {
          this.#undecided = Buffer.from(bytes.subarray(at))
          break
        }
        this.#page = isPage ? 'ahead' : 'none'
        this.#isPush = bytes[at] === PUSH
        this.#left = 1
        if (isPage) {
          this.#left = 2
          at += 4 // `*2` and the end of its line.
        }
      }
      at = this.#advance(bytes, at)
      if (this.#page === 'ahead' && this.#left === 1) {
        this.#decode(Buffer.from(bytes.subarray(from, at)))
        from = at
        this.#page = 'inside'
      } else if (this.#page === 'inside' && this.#left === 0) {
        this.#gather(bytes, from, at)
        from = at
        this.#handOn()
        behind = 0
      } else if (this.#left === 0 && !this.#isPush) {
        behind += 1
      }
    }
    if (from === at) return
    if (this.#page === 'inside') this.#gather(bytes, from, at)
    else this.#decode(Buffer.from(bytes.subarray(from, at)))
  }

  /** Moves on within one part, to its end or to that of the bytes; ends of parts are counted. */
  #advance(bytes: Buffer, start: number): number {
    let at = start
    if (this.#skip > 0) {
      const step = Math.min(this.#skip, bytes.length - at)
      this.#skip -= step
      if (this.#skip === 0) this.#left -= 1
      return at + step
    }
    if (this.#type === 0) {
      this.#type = bytes[at]!
      this.#number = 0
      this.#isNegative = false
      at += 1
    }
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (byte === LF) {
        this.#endHeader()
        return at + 1
      }
      if (byte === MINUS) this.#isNegative = true
      else if (byte !== CR) this.#number = this.#number * 10 + byte - ZERO
    }
    return at
  }

  #endHeader(): void {
    const type = this.#type
    this.#type = 0
    const number = this.#isNegative ? -1 : this.#number
    if (STRINGS.has(type) && number >= 0) {
      this.#skip = number + 2
      return
    }
    this.#left -= 1
    if (CONTAINERS.has(type) && number > 0) this.#left += type === MAP ? 2 * number : number
  }

  #gather(bytes: Buffer, start: number, end: number): void {
    if (this.#pageBytes === undefined) {
      this.#pageBytes = this.#buffers.take()
      this.#pageEnd = HEADER_ROOM
    }
    let page = this.#pageBytes
    while (page.length - this.#pageEnd < end - start) {
      const longer = this.#buffers.grow(page)
      this.#buffers.giveBack(page)
      page = longer
    }
    this.#pageBytes = page
    this.#pageEnd += bytes.copy(page, this.#pageEnd, start, end)
  }

  /** As one piece, of which the parser then makes a part and no copy. The page's own last line ends the string. */
  #handOn(): void {
    const bytes = this.#pageBytes!
    const header = `$${this.#pageEnd - HEADER_ROOM - 2}\r\n`
    const start = HEADER_ROOM - header.length
    bytes.write(header, start, 'latin1')
    this.#pageBytes = undefined
    this.#page = 'none'
    this.#decode(bytes.subarray(start, this.#pageEnd))
  }
}

/** Undefined while there is too little to tell. */
function begins(bytes: Buffer, at: number): boolean | undefined {
  const end = Math.min(at + BEGINNING.length, bytes.length)
  for (let i = at; i < end; i++) if (bytes[i] !== BEGINNING[i - at]) return false
  return end - at === BEGINNING.length ? true : undefined
}
