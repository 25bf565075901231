/**
 * Runs the handler over the SETs of a page: a few at a time, each for a bounded time, none twice at once, and none again
 * that was stored before.
 */
import { settledWithin } from './backoff.ts'
import type { ReceivedSet } from './verify-set.ts'

/**
 * Stores the SET. The SET is acknowledged once this resolves; if it rejects, the SET comes again later, and the
 * transmitter is not told why, since error reports are only for SETs that do not verify (RFC 8936 §2).
 * @param context its signal aborts when the handler is no longer waited for.
 */
export type SetHandler = (set: ReceivedSet, context: { readonly signal: AbortSignal }) => void | Promise<void>

export interface HandlingOptions {
  readonly concurrency: number
  readonly timeoutMs: number
  /** Handlers that may be at work beyond their time before no more SETs are fetched. */
  readonly lateMax: number
  readonly onStored: (jti: string) => void
  readonly onFailed: (jti: string, error: unknown) => void
}

export interface HandlingRun {
  readonly done: Promise<unknown>
  /** How many SETs are stored so far, or were before. */
  readonly stored: number
}

/** Stored SETs that are remembered, for when their acknowledgement was lost and they come again. */
const STORED_MAX = 10_000

export class Handling {
  readonly #options: HandlingOptions
  readonly #stored = new Set<string>()
  readonly #running = new Map<string, { readonly work: Promise<void>; readonly controller: AbortController }>()

  constructor(options: HandlingOptions) {
    this.#options = options
  }

  /** @param signal once aborted, no further handler is begun: what was not begun comes again. */
  run(sets: readonly ReceivedSet[], handler: SetHandler, signal: AbortSignal | undefined): HandlingRun {
    const waiting = sets.values()
    let stored = 0
    const worker = async () => {
      for (const set of waiting) {
        if (signal?.aborted) return
        if (await this.#handle(set, handler)) stored++
      }
    }
    return {
      done: Promise.all(Array.from({ length: Math.min(this.#options.concurrency, sets.length) }, worker)),
      get stored() {
        return stored
      },
    }
  }

  /** Waits while too many handlers are at work beyond their time. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#running.size >= this.#options.lateMax && !signal.aborted) {
      const anyOne = Promise.race([...this.#running.values()].map(({ work }) => work))
      await settledWithin(anyOne, this.#options.timeoutMs, signal)
    }
  }

  /** Waits for what is at work, and then lets go of it. */
  async end(graceMs: number): Promise<void> {
    const running = [...this.#running.values()]
    if (await settledWithin(Promise.all(running.map(({ work }) => work)), graceMs)) return
    for (const { controller } of running) controller.abort(new DOMException('the receiver stops', 'AbortError'))
  }

  async #handle(set: ReceivedSet, handler: SetHandler): Promise<boolean> {
    const { jti } = set
    if (this.#stored.has(jti)) {
      this.#options.onStored(jti)
      return true
    }
    if (this.#running.has(jti)) return false // At work since an earlier delivery.
    const controller = new AbortController()
    let stored = false
    const work = Promise.resolve()
      .then(() => handler(set, { signal: controller.signal }))
      .then(() => {
        this.#remember(jti)
        this.#options.onStored(jti)
        stored = true
      })
      .catch(error => this.#options.onFailed(jti, error))
      .finally(() => this.#running.delete(jti))
    this.#running.set(jti, { work, controller })
    const inTime = await settledWithin(work, this.#options.timeoutMs, controller.signal)
    if (!inTime && !controller.signal.aborted) {
      const error = new DOMException(`the handler took longer than ${this.#options.timeoutMs} ms`, 'TimeoutError')
      controller.abort(error)
      this.#options.onFailed(jti, error)
    }
    return stored
  }

  #remember(jti: string): void {
    this.#stored.add(jti)
    if (this.#stored.size <= STORED_MAX) return
    const [oldest] = this.#stored
    if (oldest !== undefined) this.#stored.delete(oldest)
  }
}
