/** A measured window of the load generator: from `open` to `close`, with the processor time of all that take part. */
import { performance } from 'node:perf_hooks'
import { type CpuReading, coresBetween, readCpu, type Watched } from '../harness/cpu.ts'
import { quantile } from '../harness/statistics.ts'
import type { Window } from './target.ts'

export class MeasuredWindow {
  readonly #watched: Watched
  readonly #opened: CpuReading
  readonly #loop = performance.eventLoopUtilization()
  readonly #latenciesMs: number[] = []
  #result: Window | undefined

  constructor(watched: Watched) {
    this.#watched = { ...watched, load: process.pid }
    this.#opened = readCpu(this.#watched)
  }

  get openedAtMs(): number {
    return this.#opened.atMs
  }

  get closed(): boolean {
    return this.#result !== undefined
  }

  took(ms: number): void {
    if (this.#result === undefined) this.#latenciesMs.push(ms)
  }

  /** The first call counts: what comes after it is clearing up. */
  close(counted: number, detail: Record<string, number> = {}): void {
    if (this.#result !== undefined) return
    const closed = readCpu(this.#watched)
    const seconds = (closed.atMs - this.#opened.atMs) / 1000
    const latencies =
      this.#latenciesMs.length === 0
        ? {}
        : { p50Ms: quantile(this.#latenciesMs, 0.5), p99Ms: quantile(this.#latenciesMs, 0.99) }
    this.#result = {
      rate: counted / seconds,
      seconds,
      cores: coresBetween(this.#opened, closed),
      // Near 1 the generator itself was the limit.
      detail: { ...latencies, loadBusy: performance.eventLoopUtilization(this.#loop).utilization, ...detail },
    }
  }

  get result(): Window {
    if (this.#result === undefined) throw new Error('the window was not closed')
    return this.#result
  }
}
