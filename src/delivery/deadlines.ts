/**
 * Calls back when a deadline has passed, for many thousands at once, with one timer for all. A deadline is kept to
 * within `GRAIN_MS`, which is far below what a poll's wait is agreed to.
 */
const GRAIN_MS = 50

export interface Deadline {
  cancel(): void
}

export class Deadlines {
  readonly #slots = new Map<number, Set<() => void>>()
  #timer: NodeJS.Timeout | undefined

  after(delayMs: number, callback: () => void): Deadline {
    const slot = Math.ceil((performance.now() + delayMs) / GRAIN_MS)
    let callbacks = this.#slots.get(slot)
    if (callbacks === undefined) {
      callbacks = new Set()
      this.#slots.set(slot, callbacks)
    }
    callbacks.add(callback)
    this.#timer ??= setInterval(() => this.#tick(), GRAIN_MS)
    const waiting = callbacks
    return {
      cancel: () => {
        if (waiting.delete(callback) && waiting.size === 0) this.#drop(slot)
      },
    }
  }

  #tick(): void {
    const now = performance.now() / GRAIN_MS
    // A handful of slots a second: the map stays as small as the longest wait.
    for (const [slot, callbacks] of this.#slots) {
      if (slot > now) continue
      this.#drop(slot)
      for (const callback of callbacks) callback()
    }
  }

  #drop(slot: number): void {
    this.#slots.delete(slot)
    if (this.#slots.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
