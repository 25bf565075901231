/**
 * Memory for pages, used again once a page has been sent: see one-buffer-connector.ts for why. A buffer that nobody gives
 * back is the collector's, and another one takes its place.
 */

/** Room for a page of a hundred SETs and what stands around them; for a longer one it doubles, and is not kept. */
const PAGE_BYTES = 131_072
/** 8 MB: more than are on their way at a time, unless clients read slowly. */
const KEPT_MAX = 64

export class PageBuffers {
  readonly #kept: Buffer[] = []

  take(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES)
  }

  /** @returns one twice as long that begins with the same bytes; the other may be given back. */
  grow(buffer: Buffer): Buffer {
    const longer = Buffer.allocUnsafeSlow(2 * buffer.length)
    buffer.copy(longer)
    return longer
  }

  /** @param part of a buffer that was taken here. From now on its bytes are another page's. */
  giveBack(part: Buffer): void {
    const { buffer } = part
    if (buffer.byteLength === PAGE_BYTES && this.#kept.length < KEPT_MAX) this.#kept.push(Buffer.from(buffer))
  }
}
