/**
 * A process with a core of its own that does one thing after the other: a transmitter, or a Redis. As work is only ever
 * added behind what waits, when it ends is known as soon as it is added.
 */
import type { Clock } from './clock.ts'

export class Core {
  readonly #clock: Clock
  #freeAtUs = 0
  #addedUs = 0
  #longestWaitUs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns when it will be done. */
  add(workUs: number): number {
    const startUs = Math.max(this.#clock.nowUs, this.#freeAtUs)
    this.#longestWaitUs = Math.max(this.#longestWaitUs, startUs - this.#clock.nowUs)
    this.#addedUs += workUs
    this.#freeAtUs = startUs + workUs
    return this.#freeAtUs
  }

  /** What was given to it since this was last asked, in microseconds: more than the time that passed if it cannot keep up. */
  takeAddedUs(): number {
    const added = this.#addedUs
    this.#addedUs = 0
    this.#longestWaitUs = 0
    return added
  }

  /** Since the last `takeAddedUs`. */
  get longestWaitUs(): number {
    return this.#longestWaitUs
  }
}
