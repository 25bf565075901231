/**
 * Facts of Redis, read every few seconds by the one process that holds the lease (design, section 8).
 *
 * A receiver that has nothing to deliver and for which nothing happened costs one HMGET; only what changed, and what has
 * SETs waiting, is counted. Both go in bounded runs, between which Redis serves others.
 */
import type { PublicKeyRecord } from '../signing/key-record.ts'
import type { KeyStore } from '../store/key-store.ts'
import type { Receiver } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { ReceiverCounts, SetReader } from '../store/set-reader.ts'
import type { SnapshotLease } from '../store/snapshot-lease.ts'
import type { SnapshotReader } from '../store/snapshot-reader.ts'
import type { WorkerRuns } from '../store/worker-runs.ts'
import { type ExportedFacts, type ReceiverFacts, renderFacts, type Snapshot } from '../telemetry/facts.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { LimitsOf } from './limits.ts'
import { Pace } from './pace.ts'

export interface SnapshotDependencies {
  readonly lease: SnapshotLease
  readonly reader: SnapshotReader
  readonly registry: Registry
  readonly sets: Pick<SetReader, 'count'>
  readonly keyStore: Pick<KeyStore, 'all'>
  readonly runs: Pick<WorkerRuns, 'last'>
  readonly jobs: { counts(): Promise<Snapshot['jobs']> }
  readonly limitsOf: LimitsOf
  readonly facts: ExportedFacts
  readonly logger: Logger
}

export interface SnapshotOptions {
  readonly everyMs: number
  readonly receiversMax: number
  /** Takes the lease as soon as it is free. Others give those a chance first: they have receivers to serve. */
  readonly isFirstChoice: boolean
}

interface Known {
  /** What was told of the receiver when it was counted. */
  readonly mark: string
  readonly counts: Counted
}

/** Of all that is counted, what is exported: it is kept for every receiver. */
interface Counted {
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly oldestUnackedSeconds: number
  readonly bytes: number
  readonly lastPollMs: number | undefined
  readonly within: number
  readonly late: number
}

/** Receivers whose marks are read at once: half a millisecond of Redis. */
const MARKS_AT_ONCE = 250
/**
 * Receivers that are counted at once: four, and then comes a rest three times as long as counting them took, in which others
 * have Redis and this process. After a quarter of the interval it is twenty without rests (half a millisecond of Redis), so
 * that the facts are there in time.
 */
const COUNTS_AT_ONCE = { paced: 4, hurried: 20 }
const RESTS = { times: 3, share: 0.25 }

export class Snapshots {
  readonly #deps: SnapshotDependencies
  readonly #options: SnapshotOptions
  #known = new Map<string, Known>()
  #takenAtMs = Number.NEGATIVE_INFINITY
  #heldUntilMs = Number.NEGATIVE_INFINITY
  #wasFree = false
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()

  constructor(deps: SnapshotDependencies, options: SnapshotOptions) {
    this.#deps = deps
    this.#options = options
  }

  start(): void {
    const { signal } = this.#stopping
    const tick = () => {
      const startedAtMs = performance.now()
      this.#working = this.#tick()
        // Redis is away, as others say loudly; what was read stays exported until the lease is over.
        .catch(error => this.#deps.logger.debug({ err: error }, 'no snapshot for metrics'))
        .finally(() => {
          if (!signal.aborted) this.#timer = setTimeout(tick, this.#nextTickInMs(startedAtMs)).unref()
        })
    }
    tick()
  }

  /** Gives the lease back, so that another process follows at once. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#timer)
    await this.#working
    this.#deps.facts.clear()
    if (performance.now() < this.#heldUntilMs) await this.#deps.lease.giveBack().catch(() => {})
  }

  /** Twice an interval, so that the lease is kept; after a snapshot that took longer, when the next one is due. */
  #nextTickInMs(startedAtMs: number): number {
    const { everyMs } = this.#options
    const nowMs = performance.now()
    let inMs = startedAtMs + everyMs / 2 - nowMs
    if (inMs <= 0) inMs = this.#takenAtMs >= startedAtMs ? this.#takenAtMs + everyMs - nowMs : everyMs / 2
    return Math.max(inMs, everyMs / 10)
  }

  async #tick(): Promise<void> {
    if (!(await this.#hasLease())) {
      this.#deps.facts.clear()
      this.#known.clear()
      this.#takenAtMs = Number.NEGATIVE_INFINITY
      return
    }
    this.#deps.facts.keepUntil(this.#heldUntilMs)
    // Ticks come twice as often, and never exactly in time.
    if (performance.now() - this.#takenAtMs < this.#options.everyMs * 0.9) return
    const startedAtMs = performance.now()
    const snapshot = await this.#read()
    if (snapshot === undefined) return
    const tookMs = performance.now() - startedAtMs
    const text = await renderFacts({ ...snapshot, tookMs }, this.#options.receiversMax)
    this.#deps.facts.replace(text, this.#heldUntilMs)
    this.#takenAtMs = startedAtMs
  }

  async #hasLease(): Promise<boolean> {
    const isHeld = performance.now() < this.#heldUntilMs
    if (!isHeld && !this.#options.isFirstChoice) {
      const wasFree = this.#wasFree
      this.#wasFree = await this.#deps.lease.isFree()
      if (!this.#wasFree || !wasFree) return false
    }
    return this.#holdLease()
  }

  async #holdLease(): Promise<boolean> {
    const lastsMs = this.#options.everyMs * 2
    // From before Redis hears of it: our end of the lease comes first.
    const askedAtMs = performance.now()
    const isHeld = await this.#deps.lease.hold(lastsMs)
    this.#heldUntilMs = isHeld ? askedAtMs + lastsMs : Number.NEGATIVE_INFINITY
    return isHeld
  }

  /** @returns undefined when it was stopped or the lease lost on the way. */
  async #read(): Promise<Omit<Snapshot, 'tookMs'> | undefined> {
    const { registry, reader, keyStore, runs, jobs, logger } = this.#deps
    const receivers = await registry.every()
    const known = new Map<string, Known>()
    const pace = new Pace(RESTS.times, this.#options.everyMs * RESTS.share, this.#stopping.signal)
    const facts: ReceiverFacts[] = []
    for (let from = 0; from < receivers.length; from += MARKS_AT_ONCE) {
      const counts = await this.#count(receivers.slice(from, from + MARKS_AT_ONCE), pace)
      if (counts === undefined) return undefined
      for (const [receiver, found] of counts) {
        known.set(receiver.id, found)
        facts.push(this.#factsOf(receiver, found.counts))
      }
    }
    this.#known = known
    const [memory, lastRuns, jobCounts, records] = await Promise.all([
      reader.memory(),
      runs.last(),
      // Over a connection of its own, which may be lost alone: all else is still worth telling.
      jobs.counts().catch(error => {
        logger.warn({ err: error }, 'jobs could not be counted: metrics of them are missing')
        return []
      }),
      keyStore.all(),
    ])
    if (!(await this.#mayGoOn())) return undefined
    return {
      takenAtMs: Date.now(),
      receivers: facts,
      jobs: jobCounts,
      lastRuns,
      memory,
      signingKeys: records.map(record => ({ ...record, sinceMs: sinceMs(record) })),
    }
  }

  /** @returns undefined when it is not to go on. */
  async #count(receivers: readonly Receiver[], pace: Pace): Promise<[Receiver, Known][] | undefined> {
    if (!(await this.#mayGoOn())) return undefined
    const marks = await this.#deps.reader.marks(receivers.map(({ id }) => id))
    const result: [Receiver, Known][] = []
    const changed: { receiver: Receiver; mark: string }[] = []
    receivers.forEach((receiver, i) => {
      const mark = marks[i] ?? ''
      const before = this.#known.get(receiver.id)
      if (before?.mark === mark && isAtRest(before.counts)) result.push([receiver, before])
      else changed.push({ receiver, mark })
    })
    for (let from = 0; from < changed.length; ) {
      if (!(await this.#mayGoOn())) return undefined
      const part = changed.slice(from, from + COUNTS_AT_ONCE[pace.isOver ? 'hurried' : 'paced'])
      from += part.length
      const startedAtMs = performance.now()
      const counts = await Promise.all(part.map(({ receiver }) => this.#deps.sets.count(receiver.id)))
      counts.forEach((found, i) => {
        const { receiver, mark } = part[i] as (typeof part)[number]
        // A receiver that was deleted meanwhile is none.
        if (found !== undefined) result.push([receiver, { mark, counts: counted(found) }])
      })
      await pace.rest(performance.now() - startedAtMs)
    }
    return result
  }

  /** Keeps the lease on the way. */
  async #mayGoOn(): Promise<boolean> {
    if (this.#stopping.signal.aborted) return false
    return performance.now() <= this.#heldUntilMs - this.#options.everyMs || this.#holdLease()
  }

  #factsOf(receiver: Receiver, counts: Counted): ReceiverFacts {
    const { backlogMax, backlogBytesMax, sloMs } = this.#deps.limitsOf(receiver)
    const { queued, inFlight, owedAgain, parked, oldestUnackedSeconds, bytes, lastPollMs, within, late } = counts
    const backlog = queued + inFlight + owedAgain + parked
    return {
      id: receiver.id,
      status: receiver.status,
      queued,
      inFlight,
      owedAgain,
      parked,
      oldestUnackedSeconds,
      lastPollMs,
      backlogRatio: Math.max(backlog / backlogMax, bytes / backlogBytesMax),
      slo: sloMs === 0 ? undefined : { targetMs: sloMs, within, late },
    }
  }
}

/** Nothing of it changes by itself: no age grows, nothing lapses. */
function isAtRest({ queued, inFlight, owedAgain }: Counted): boolean {
  return queued + inFlight + owedAgain === 0
}

function counted({ queued, inFlight, owedAgain, parked, oldestUnackedSeconds, totals }: ReceiverCounts): Counted {
  return {
    queued,
    inFlight,
    owedAgain,
    parked,
    oldestUnackedSeconds,
    bytes: totals.bytes ?? 0,
    lastPollMs: totals.lastPoll,
    within: totals.sloWithin ?? 0,
    late: totals.sloLate ?? 0,
  }
}

function sinceMs({ state, createdAtMs, currentSinceMs, retiredAtMs }: PublicKeyRecord): number {
  if (state === 'retired') return retiredAtMs ?? createdAtMs
  return state === 'current' ? (currentSinceMs ?? createdAtMs) : createdAtMs
}
