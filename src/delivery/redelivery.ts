/** Redelivery: walks over what a receiver has in flight; what has been there for R is owed again, or parked. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Registry } from '../store/registry.ts'
import type { SetStore } from '../store/set-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { LimitsOf } from './limits.ts'
import type { Schedule } from './schedule.ts'

export interface RedeliveryDependencies {
  readonly sets: SetStore
  readonly registry: Registry
  readonly limitsOf: LimitsOf
  readonly schedule: Schedule
  readonly metrics: Metrics
  readonly logger: Logger
}

/**
 * Entries a step looks at, and how long it should take, the way there and back included: others wait meanwhile. Where
 * Redis is slower, steps are shorter; where it is far away, a walk is not to take for ever.
 */
const STEP = { min: 100, max: 500, ms: 2 }

/** A walk that finds work at once may not run hot, whatever R is. */
const PAUSE_MIN_MS = 250

export class Redelivery {
  readonly #deps: RedeliveryDependencies

  constructor(deps: RedeliveryDependencies) {
    this.#deps = deps
  }

  /**
   * One walk, and the next one scheduled for when the earliest SET still in flight lapses.
   * @returns how many SETs are owed again, and how many were parked.
   */
  async sweep(receiverId: string): Promise<{ due: number; parked: number }> {
    const { sets, registry, limitsOf, schedule, metrics, logger } = this.#deps
    const receiver = await registry.receiver(receiverId)
    if (receiver === undefined) return { due: 0, parked: 0 } // Deleted, and its log with it.
    const limits = limitsOf(receiver)
    let cursor = '-'
    let earliestMs = -1
    let nextInMs = -1
    let due = 0
    let parked = 0
    let count = STEP.max
    do {
      const startedAt = performance.now()
      const step = await sets.sweep(receiverId, cursor, count, earliestMs, limits)
      const tookMs = performance.now() - startedAt
      cursor = step.cursor
      // A long walk leaves as much of Redis to the others as it takes.
      if (cursor !== '-') await delay(tookMs)
      count = Math.max(STEP.min, Math.min(STEP.max, Math.floor((count * STEP.ms) / tookMs)))
      earliestMs = step.earliestMs
      nextInMs = step.nextInMs
      due += step.due
      parked += step.parked
    } while (cursor !== '-')
    if (parked > 0) metrics.parked.inc({ reason: 'attempts' }, parked)
    if (due + parked > 0) logger.info({ receiver: receiverId, owedAgain: due, parked }, 'redelivery')
    if (nextInMs >= 0) schedule.sweep(receiverId, Math.max(nextInMs, PAUSE_MIN_MS))
    return { due, parked }
  }
}
