/** What is noted while the simulation runs, from the end of its warm-up on. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export interface Moment {
  readonly seconds: number
  /** SETs that producers hold because the shard is away. */
  readonly withProducers: number
  readonly queued: number
}

export class Observations {
  /** From the arrival of the publish call to the end of the answer that brings the SET; microseconds. */
  readonly delay = createHistogram({ figures: 3 })
  /** The same of receiver 0, which is the most popular one. */
  readonly hotDelay = createHistogram({ figures: 3 })
  readonly queuedMax: Int32Array
  readonly inFlightMax: Int32Array
  readonly moments: Moment[] = []
  isOpen = false
  published = 0
  delivered = 0
  hotDelivered = 0
  hotQueuedMax = 0
  polls = 0
  epochReads = 0

  constructor(shards: number) {
    this.queuedMax = new Int32Array(shards)
    this.inFlightMax = new Int32Array(shards)
  }

  deliveredAt(timeUs: number, publishedAtUs: readonly number[], isHot: boolean): void {
    if (!this.isOpen) return
    this.delivered += publishedAtUs.length
    record(this.delay, timeUs, publishedAtUs)
    if (!isHot) return
    this.hotDelivered += publishedAtUs.length
    record(this.hotDelay, timeUs, publishedAtUs)
  }

  publishedSets(count: number): void {
    if (this.isOpen) this.published += count
  }

  polled(): void {
    if (this.isOpen) this.polls += 1
  }

  epochWasRead(): void {
    if (this.isOpen) this.epochReads += 1
  }
}

function record(histogram: RecordableHistogram, timeUs: number, sinceUs: readonly number[]): void {
  for (const since of sinceUs) histogram.record(Math.max(1, Math.round(timeUs - since)))
}
