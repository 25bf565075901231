/**
 * Looks again and again while somebody looks at it: no oftener than it costs the transmitter little, and not at all while
 * the tab is hidden.
 */

const EVERY_MS = 2000
/** Of the time, looking may take this part. */
const LOAD_PART = 10

export class Repeat {
  #look
  #timer = 0
  #isOver = false
  #isLooking = false
  #onVisible = () => {
    if (!document.hidden) this.#run()
  }

  /** @param {() => Promise<void>} look has to deal with its own failures */
  constructor(look) {
    this.#look = look
  }

  start() {
    document.addEventListener('visibilitychange', this.#onVisible)
    this.#run()
  }

  stop() {
    this.#isOver = true
    clearTimeout(this.#timer)
    document.removeEventListener('visibilitychange', this.#onVisible)
  }

  async #run() {
    if (this.#isLooking) return
    clearTimeout(this.#timer)
    this.#isLooking = true
    const startedMs = performance.now()
    await this.#look()
    this.#isLooking = false
    if (this.#isOver || document.hidden) return
    const tookMs = performance.now() - startedMs
    this.#timer = setTimeout(() => this.#run(), Math.max(EVERY_MS, tookMs * LOAD_PART))
  }
}
