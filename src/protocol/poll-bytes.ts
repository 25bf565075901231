/**
 * The poll response made of SETs that are in memory as bytes already, between other things: it is written over these,
 * so that a page of some 70 kB is neither decoded nor copied elsewhere. RFC 8936 §2.3.
 */

export interface SetBytes {
  readonly bytes: Buffer
  /**
   * For each SET where its jti begins and ends, and where its token does; ascending. Before each there are bytes that
   * nobody needs, more than JSON's punctuation takes. They are corrected when the SETs have been moved.
   */
  readonly spans: Int32Array
  /** No jti holds a character that JSON escapes. */
  readonly isPlain: boolean
  /** To be called once, when nothing of it is needed any more: the bytes are used again. Need not be called. */
  release(): void
}

const BEGINNING = Buffer.from('{"sets":{')
const END = Buffer.from('}}')
const END_WITH_MORE = Buffer.from('},"moreAvailable":true}')
const QUOTE = 34
const COLON = 58
const COMMA = 44

/** @returns a part of `bytes`, for SETs of which `isPlain` is true; at least one. */
export function renderOver({ bytes, spans }: SetBytes, moreAvailable: boolean): Buffer {
  let to = BEGINNING.copy(bytes, 0)
  for (let i = 0; i < spans.length; i += 2) {
    const start = spans[i]!
    const end = spans[i + 1]!
    if (to >= start) throw new RangeError('no room for punctuation')
    bytes[to] = QUOTE
    bytes.copyWithin(to + 1, start, end)
    spans[i] = to + 1
    to += 1 + end - start
    spans[i + 1] = to
    bytes[to] = QUOTE
    bytes[to + 1] = i % 4 === 0 ? COLON : COMMA
    to += 2
  }
  to -= 1 // The last comma.
  to += (moreAvailable ? END_WITH_MORE : END).copy(bytes, to)
  return bytes.subarray(0, to)
}
