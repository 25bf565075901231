/**
 * A page as Redis wrote it: the answer of XREADGROUP in bytes, with the places of jtis and SETs in it. Nothing is copied
 * or decoded until somebody asks for it: what most pages are for is to be sent.
 */
import type { SetBytes } from '../protocol/poll-bytes.ts'
import type { HandedOut } from './page.ts'
import type { PageBuffers } from './page-buffers.ts'

const CR = 13
const ZERO = 48
const NINE = 57
const MAP = 37
const ARRAY = 42
const MINUS = 45
const BANG = 33
const SIX = 54
const LAST_OF_JTI = 105
const SPACE = 32
const QUOTE = 34
const BACKSLASH = 92
/** Between an entry's parts; append.lua alone writes entries: jti, set, digest, in this order. */
const BEFORE_ID = '*2\r\n$'.length
const AFTER_ID = '\r\n*6\r\n$3\r\njti\r\n$'.length
const AFTER_JTI = '\r\n$3\r\nset\r\n$'.length
const AFTER_SET = '\r\n$6\r\ndigest\r\n$'.length

export class RawPage implements SetBytes {
  readonly bytes: Buffer
  readonly spans: Int32Array
  readonly count: number
  readonly isPlain: boolean
  /** Milliseconds: when the first of them was appended. */
  readonly oldestMs: number
  readonly #buffers: PageBuffers | undefined

  private constructor(bytes: Buffer, buffers: PageBuffers | undefined) {
    this.#buffers = buffers
    const cursor = new Cursor(bytes)
    cursor.at = bytes[0] === MAP ? 5 : 9
    cursor.text() // The key.
    cursor.at += 3
    this.bytes = bytes
    this.count = cursor.number()
    this.spans = new Int32Array(4 * this.count)
    let isPlain = true
    let oldestMs = -1
    for (let i = 0; i < this.spans.length; i += 4) {
      cursor.at += BEFORE_ID
      const idAt = cursor.text()
      if (i === 0) oldestMs = Number.parseInt(bytes.toString('latin1', idAt, cursor.at), 10)
      if (bytes[cursor.at + 3] !== SIX || bytes[cursor.at + 12] !== LAST_OF_JTI) throw foreign()
      cursor.at += AFTER_ID
      const jtiAt = cursor.text()
      this.spans[i] = jtiAt
      this.spans[i + 1] = cursor.at
      isPlain = isPlain && standsInJson(bytes, jtiAt, cursor.at)
      cursor.at += AFTER_JTI
      this.spans[i + 2] = cursor.text()
      this.spans[i + 3] = cursor.at
      cursor.at += AFTER_SET
      cursor.text() // The digest.
      cursor.at += 2
    }
    if (cursor.at > bytes.length + 2) throw foreign()
    this.isPlain = isPlain
    this.oldestMs = oldestMs
  }

  /**
   * @param answer what PageFraming made of XREADGROUP's answer.
   * @param buffers that it was made in.
   * @returns undefined when nothing was read. @throws {Error} with the words of Redis
   */
  static of(answer: Buffer, buffers?: PageBuffers): RawPage | undefined {
    if (answer[0] === MAP || (answer[0] === ARRAY && answer[1] !== MINUS)) return new RawPage(answer, buffers)
    if (answer[0] === MINUS || answer[0] === BANG) throw new Error(answer.toString('utf8', 1))
    return undefined
  }

  release(): void {
    this.#buffers?.giveBack(this.bytes)
  }

  list(): HandedOut[] {
    const { bytes, spans } = this
    const list: HandedOut[] = []
    for (let i = 0; i < spans.length; i += 4) {
      list.push({
        jti: bytes.toString('utf8', spans[i]!, spans[i + 1]!),
        set: bytes.toString('latin1', spans[i + 2]!, spans[i + 3]!),
        attempt: 1,
      })
    }
    return list
  }
}

function foreign(): Error {
  return new Error('an entry of a log is not one of ours')
}

function standsInJson(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) return false
  }
  return true
}

class Cursor {
  readonly bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** The number up to the end of the line, and on to the next. */
  number(): number {
    const { bytes } = this
    let { at } = this
    let number = 0
    for (let byte = bytes[at]!; byte !== CR; byte = bytes[at]!) {
      // Nor behind the end, where the search for that of a line would have none.
      if (!(byte >= ZERO && byte <= NINE)) throw foreign()
      number = number * 10 + byte - ZERO
      at += 1
    }
    this.at = at + 2
    return number
  }

  /** From a string's length to its last byte. @returns where it begins. */
  text(): number {
    const length = this.number()
    const start = this.at
    this.at += length
    return start
  }
}
