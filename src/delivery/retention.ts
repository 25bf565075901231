/** Retention: parks what has expired, trims what was kept for replay, discards dead letters whose time is over. */
import type { Receiver } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { SetReader } from '../store/set-reader.ts'
import { ANY_AGE, type SetStore } from '../store/set-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { LimitsOf } from './limits.ts'
import type { Schedule } from './schedule.ts'

export interface RetentionDependencies {
  readonly sets: SetStore
  readonly reader: SetReader
  readonly registry: Registry
  readonly limitsOf: LimitsOf
  readonly schedule: Schedule
  readonly metrics: Metrics
  readonly logger: Logger
}

export interface RetentionOptions {
  readonly retainParkedMs: number
  readonly retainErrorsMs: number
}

const STEP = 100
const TRIM_STEP = 500
/** Dead letters, reports and flags are looked at this seldom: an idle receiver costs a few commands an hour. */
const SLOW_EVERY_MS = 3_600_000

export class Retention {
  readonly #deps: RetentionDependencies
  readonly #options: RetentionOptions
  /** When each receiver was last looked at slowly; a new process begins anew. */
  readonly #lookedAtMs = new Map<string, number>()

  constructor(deps: RetentionDependencies, options: RetentionOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** One pass over the receivers that need one now. */
  async pass(nowMs: number): Promise<void> {
    const { registry, limitsOf } = this.#deps
    const receivers = await registry.every()
    const known = new Set(receivers.map(({ id }) => id))
    for (const id of this.#lookedAtMs.keys()) if (!known.has(id)) this.#lookedAtMs.delete(id)
    for (const receiver of receivers) {
      const limits = limitsOf(receiver)
      const before = this.#lookedAtMs.get(receiver.id) ?? nowMs - jitter()
      const slow = nowMs - before >= SLOW_EVERY_MS
      this.#lookedAtMs.set(receiver.id, slow ? nowMs : before)
      if (receiver.status === 'disabled') await this.parkAll(receiver)
      else if (limits.expireAfterMs > 0) await this.#expire(receiver, limits.expireAfterMs)
      if (limits.retainAckedMs > 0 || slow) await this.#trim(receiver, limits.retainAckedMs)
      if (slow) {
        await this.#discard(receiver)
        this.#deps.schedule.sweep(receiver.id, 0)
        this.#deps.schedule.logReports(receiver.id)
      }
    }
  }

  /** Parks all that a disabled receiver still holds. */
  parkAll(receiver: Receiver): Promise<number> {
    return this.#inSteps(receiver, 'disabled', ANY_AGE)
  }

  #expire(receiver: Receiver, expireAfterMs: number): Promise<number> {
    return this.#inSteps(receiver, 'expired', expireAfterMs)
  }

  async #inSteps(receiver: Receiver, reason: 'expired' | 'disabled', olderThanMs: number): Promise<number> {
    const { sets, metrics, logger } = this.#deps
    let total = 0
    for (let more = true; more; ) {
      const step = await sets.expire(receiver.id, reason, olderThanMs, STEP)
      total += step.parked
      more = step.more
    }
    if (total > 0) {
      metrics.parked.inc({ reason }, total)
      logger.warn({ receiver: receiver.id, reason, parked: total }, 'SETs parked')
    }
    return total
  }

  async #trim(receiver: Receiver, retainAckedMs: number): Promise<void> {
    const { sets, logger } = this.#deps
    let total = 0
    let reports = 0
    for (let more = true; more; ) {
      const step = await sets.trim(receiver.id, retainAckedMs, this.#options.retainErrorsMs, TRIM_STEP)
      total += step.trimmed
      reports += step.reports
      more = step.more
    }
    if (total + reports > 0) logger.info({ receiver: receiver.id, acknowledged: total, reports }, 'retention over')
  }

  async #discard(receiver: Receiver): Promise<void> {
    const { sets, reader, limitsOf, metrics, logger } = this.#deps
    let total = 0
    let cursor = '-'
    do {
      const page = await reader.list(receiver.id, 'parked', cursor, STEP)
      if (page === undefined) return
      const before = page.items.filter(
        ({ why }) => why !== undefined && Date.now() - why.atMs > this.#options.retainParkedMs,
      )
      if (before.length > 0) {
        const choice = { jtis: before.map(({ jti }) => jti) }
        const { moved } = await sets.discard(receiver.id, choice, 'retention', limitsOf(receiver).dedupeWindowMs)
        total += moved
      }
      cursor = page.next ?? '-'
    } while (cursor !== '-')
    if (total > 0) {
      metrics.discarded.inc({ reason: 'retention' }, total)
      logger.warn({ receiver: receiver.id, discarded: total }, 'dead letters discarded: their retention is over')
    }
  }
}

function jitter(): number {
  return Math.random() * SLOW_EVERY_MS
}
