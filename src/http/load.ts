/**
 * Sheds load before the process drowns: while its event loop lags or its heap is nearly full, requests are answered with
 * 503 and Retry-After, before anything is done for them.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance } from 'fastify'
import { TransmitterError } from '../errors.ts'

export interface LoadLimits {
  /** 0 is no limit. */
  readonly lagMaxMs: number
  /** Of the heap limit of the process; 0 is no limit. */
  readonly heapMaxPercent: number
}

const SAMPLE_MS = 500
const RESOLUTION_MS = 20
const RETRY_AFTER_SECONDS = 2

export class Load {
  readonly #limits: LoadLimits
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>
  readonly #timer: NodeJS.Timeout
  #isOver = false
  #lagMs = 0

  constructor(limits: LoadLimits) {
    this.#limits = limits
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#delay.enable()
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref()
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Judges the time since the last sample. */
  #sample(): void {
    const { lagMaxMs, heapMaxPercent } = this.#limits
    // The histogram holds the time from one tick to the next, in nanoseconds, of which the resolution is no delay.
    // Without a tick nothing is known that was not known before.
    if (this.#delay.count > 0) this.#lagMs = this.#delay.mean / 1e6 - RESOLUTION_MS
    this.#delay.reset()
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    this.#isOver =
      (lagMaxMs > 0 && this.#lagMs > lagMaxMs) || (heapMaxPercent > 0 && (used / limit) * 100 > heapMaxPercent)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#delay.disable()
  }
}

/** To be registered before any other hook. */
export function shedLoad(app: FastifyInstance, load: Pick<Load, 'isOver'>): void {
  app.addHook('onRequest', (_request, _reply, done) => {
    if (!load.isOver) return done()
    const options = { retryAfterSeconds: RETRY_AFTER_SECONDS }
    done(new TransmitterError('overloaded', 'The process has more to do than it can. Try again.', options))
  })
}
