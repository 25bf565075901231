/** What a receiver has in Redis, and the connections by which it polls. */
import type { Core } from './core.ts'

export interface Receiver {
  readonly shard: number
  readonly queue: Queue
  readonly pollers: readonly Poller[]
}

/** A connection by which a receiver polls. */
export interface Poller {
  readonly receiver: number
  readonly process: Core
  state: 'away' | 'held' | 'asking'
  /** Notified while it asked: it looks again. */
  again: boolean
  inFlight: number
}

/** SETs by when they were published, oldest first. */
export class Queue {
  #times: number[] = []
  #first = 0

  get length(): number {
    return this.#times.length - this.#first
  }

  add(publishedAtUs: number): void {
    this.#times.push(publishedAtUs)
  }

  take(count: number): number[] {
    const taken = this.#times.slice(this.#first, this.#first + count)
    this.#first += taken.length
    // What was taken is let go of once it is most of the list.
    if (this.#first > 64 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first)
      this.#first = 0
    }
    return taken
  }
}
