/**
 * Reads the reply of a script, or of what is asked like one, at once, where it came in one piece: the client library's parser
 * does it part by part, each by several functions and into buffers first, which was 6 % of a poll. They answer numbers, strings,
 * lists and nothing; all else is left to that parser.
 * Source: the Redis serialization protocol, versions 2 and 3.
 */

const CR = 13
const PLUS = 43
const MINUS = 45
const STRING = 36
const LIST = 42
const NUMBER = 58
const NULL = 95
const ZERO = 48

export class ScriptReplyReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  /** Behind the reply that was read last; of no use after one that was not. */
  get end(): number {
    return this.#at
  }

  /** @returns the reply that begins here; undefined where it is not whole, or is or holds an error or something else. */
  read(bytes: Buffer, start: number): unknown {
    this.#bytes = bytes
    this.#at = start
    return this.#value()
  }

  #value(): unknown {
    const bytes = this.#bytes
    const type = bytes[this.#at]
    if (type === PLUS) return this.#line()
    if (type !== STRING && type !== NUMBER && type !== LIST && type !== NULL) return undefined
    let at = this.#at + 1
    const isNegative = bytes[at] === MINUS
    if (isNegative) at += 1
    let number = 0
    for (; at < bytes.length && bytes[at] !== CR; at++) number = number * 10 + bytes[at]! - ZERO
    at += 2
    if (at > bytes.length) return undefined
    this.#at = at
    if (type === NUMBER) return isNegative ? -number : number
    if (type === NULL || isNegative) return null
    return type === STRING ? this.#string(number) : this.#list(number)
  }

  #string(length: number): string | undefined {
    const start = this.#at
    const end = start + length
    if (end + 2 > this.#bytes.length) return undefined
    this.#at = end + 2
    return this.#bytes.toString('utf8', start, end)
  }

  #list(length: number): unknown[] | undefined {
    const list: unknown[] = []
    for (let i = 0; i < length; i++) {
      const part = this.#value()
      if (part === undefined) return undefined
      list.push(part)
    }
    return list
  }

  #line(): string | undefined {
    const end = this.#bytes.indexOf(CR, this.#at)
    if (end < 0 || end + 2 > this.#bytes.length) return undefined
    const text = this.#bytes.toString('utf8', this.#at + 1, end)
    this.#at = end + 2
    return text
  }
}
