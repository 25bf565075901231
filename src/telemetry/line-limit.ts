/**
 * Bounds how often the same line is logged: while Redis is away every request has the same to say. What was left out is
 * told with the next line that is let through.
 */
const LINES_A_SECOND = 100
const MESSAGES_MAX = 1000

export class LineLimit {
  readonly #counts = new Map<string, number>()
  #sinceMs = 0

  /** @returns how many were left out before this one, or undefined when it is left out itself. */
  pass(message: string, nowMs: number): number | undefined {
    if (nowMs - this.#sinceMs >= 1000 || nowMs < this.#sinceMs) {
      this.#sinceMs = nowMs
      for (const [known, count] of this.#counts) {
        // A message that was held back keeps below 0 what it still has to tell.
        if (count > LINES_A_SECOND) this.#counts.set(known, LINES_A_SECOND - count)
        else if (count >= 0) this.#counts.delete(known)
      }
    }
    const count = this.#counts.get(message) ?? 0
    if (count < 0) {
      this.#counts.set(message, 1)
      return -count
    }
    // Messages are few and ours; should they not be, they are not remembered.
    if (count > 0 || this.#counts.size < MESSAGES_MAX) this.#counts.set(message, count + 1)
    return count < LINES_A_SECOND ? 0 : undefined
  }
}
