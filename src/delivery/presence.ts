/**
 * Whether the client of a poll is still there. Every held poll has one; an AbortSignal, with its event target and listener,
 * would be a good part of what a held poll weighs.
 */
export class Presence {
  #isGone = false
  #onGone: (() => void) | undefined

  get isGone(): boolean {
    return this.#isGone
  }

  leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#onGone?.()
  }

  /** @param onGone called at once if the client has left already; replaces the one before. */
  whenGone(onGone: () => void): void {
    this.#onGone = onGone
    if (this.#isGone) onGone()
  }
}
