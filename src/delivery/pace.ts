/** Leaves time to others between the steps of long work, as long as there is enough of it. */
import { setTimeout as delay } from 'node:timers/promises'

export class Pace {
  readonly #times: number
  readonly #untilMs: number
  readonly #signal: AbortSignal

  /**
   * @param times how much longer a rest is than the step before it
   * @param withinMs for how long there are rests, from now on
   * @param signal ends them, one under way at once
   */
  constructor(times: number, withinMs: number, signal: AbortSignal) {
    this.#times = times
    this.#untilMs = performance.now() + withinMs
    this.#signal = signal
  }

  get isOver(): boolean {
    return this.#signal.aborted || performance.now() >= this.#untilMs
  }

  async rest(afterMs: number): Promise<void> {
    if (this.isOver) return
    const ms = Math.ceil(Math.min(afterMs * this.#times, this.#untilMs - performance.now()))
    await delay(ms, undefined, { signal: this.#signal }).catch(() => {}) // Nothing else ends it.
  }
}
