/**
 * A poll: settle, page, hold, answer (RFC 8936 §2.2–2.5). The first step settles and pages in one script; a poll that
 * finds nothing and may wait is held until something arrives, its time is over, or its client has left.
 */
import type { PollRequest } from '../protocol/poll.ts'
import { boundSetError } from '../protocol/set-error.ts'
import type { Arrivals } from '../store/arrivals.ts'
import type { HandedOut, Page } from '../store/page.ts'
import type { Receiver } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { SetStore } from '../store/set-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { HeldOutcome, HeldPolls } from './held-polls.ts'
import type { LimitsOf, ReceiverLimits } from './limits.ts'
import type { Presence } from './presence.ts'
import type { Schedule } from './schedule.ts'

export interface PollDependencies {
  readonly sets: SetStore
  readonly registry: Registry
  readonly arrivals: Arrivals
  readonly heldPolls: HeldPolls
  readonly limitsOf: LimitsOf
  readonly schedule: Schedule
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  readonly logger: Logger
}

export interface PollOptions {
  readonly pageBytesMax: number
  /** Polls a minute and receiver that may find nothing without being held. */
  readonly idlePollsMax: number
}

export interface PollCall {
  readonly request: PollRequest
  readonly language: string
  /** Milliseconds the client is willing to wait (RFC 7240); may shorten the wait, never lengthen it. */
  readonly preferredWaitMs: number | undefined
  readonly presence: Presence
}

export type PollAnswer = Pick<Page, 'sets' | 'bytes' | 'moreAvailable'>

/** A sample costs Redis a look-up; a hundred a second and process tell as much as all of them. */
const SAMPLE_EVERY_MS = 10

const NOTHING: PollAnswer = { sets: [], bytes: undefined, moreAvailable: false }
const BCP47 = /^[A-Za-z0-9-]{1,35}(?:\s*,\s*[A-Za-z0-9-]{1,35}){0,4}$/

export class Poll {
  readonly #deps: PollDependencies
  readonly #options: PollOptions
  #sampledAtMs = Number.NEGATIVE_INFINITY

  constructor(deps: PollDependencies, options: PollOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** @throws {TransmitterError} not_found, rate_limited (nothing applied), store_unavailable */
  async answer(receiver: Receiver, call: PollCall): Promise<PollAnswer> {
    const { arrivals, heldPolls, limitsOf, metrics } = this.#deps
    const { request } = call
    const limits = limitsOf(receiver)
    const waitMs = request.returnImmediately
      ? 0
      : Math.min(limits.pollWaitMs, call.preferredWaitMs ?? limits.pollWaitMs)
    if (request.unknownMembers > 0) metrics.unknownMembers.inc(request.unknownMembers)

    const mark = arrivals.mark(receiver.id)
    const startedAt = performance.now()
    const page = await this.#deps.sets.poll(
      receiver.id,
      {
        ...this.#step(request, limits),
        ack: request.ack,
        reports: request.setErrs.map(([jti, error]) => ({ jti, ...boundSetError(error), language: languageOf(call) })),
        idlePollsMax: this.#options.idlePollsMax,
        answeredAtOnce: waitMs === 0,
        samplesAck: request.ack.length > 0 && this.#isSampleDue(startedAt),
      },
      limits,
    )
    this.#took(receiver.id, page, limits, startedAt)
    if (this.#deps.tracing !== undefined) traceSettled(this.#deps.tracing, receiver.id, request, page, startedAt)
    if (page.reported > 0) this.#deps.schedule.logReports(receiver.id)
    if (page.count > 0 || page.moreAvailable || waitMs === 0) {
      metrics.pollSeconds.observe((performance.now() - startedAt) / 1000)
      metrics.polls.inc({ outcome: page.count > 0 ? 'sets' : 'empty' })
      return this.#orGiveBack(receiver.id, page, limits, call.presence)
    }

    const take = async () => {
      // What was changed while the poll was held counts for it.
      const takenAt = performance.now()
      const now = limitsOf((await this.#deps.registry.receiver(receiver.id)) ?? receiver)
      const found = await this.#deps.sets.poll(
        receiver.id,
        { ...this.#step(request, now), ack: [], reports: [], idlePollsMax: 0, answeredAtOnce: false },
        now,
      )
      this.#took(receiver.id, found, now, takenAt)
      return found
    }
    const giveBack = (late: Page) => this.#giveBack(receiver.id, late.sets, limits)
    const outcome = await heldPolls.hold(
      arrivals,
      { receiver: receiver.id, waitMs, presence: call.presence, take, giveBack },
      mark,
    )
    return this.#heldAnswer(receiver.id, outcome, limits, call.presence)
  }

  /** SETs whose answer did not get out are owed again at once, and their attempt is taken back. */
  giveBack(receiver: Receiver, sets: readonly HandedOut[]): void {
    this.#giveBack(receiver.id, sets, this.#deps.limitsOf(receiver))
  }

  #step(request: PollRequest, { pageMax }: ReceiverLimits): { limit: number; bytesMax: number } {
    return { limit: Math.min(request.maxEvents ?? pageMax, pageMax), bytesMax: this.#options.pageBytesMax }
  }

  #heldAnswer(receiver: string, outcome: HeldOutcome, limits: ReceiverLimits, presence: Presence): PollAnswer {
    const { metrics } = this.#deps
    if (typeof outcome === 'string') {
      metrics.polls.inc({ outcome })
      return NOTHING
    }
    metrics.polls.inc({ outcome: outcome.count > 0 ? 'sets' : 'empty' })
    return this.#orGiveBack(receiver, outcome, limits, presence)
  }

  #orGiveBack(receiver: string, page: Page, limits: ReceiverLimits, presence: Presence): PollAnswer {
    if (!presence.isGone) return page
    if (page.count > 0) this.#giveBack(receiver, page.sets, limits)
    return NOTHING
  }

  #giveBack(receiver: string, sets: readonly HandedOut[], limits: ReceiverLimits): void {
    if (sets.length === 0) return
    // Failing costs a wait of R, which the SETs would have had anyway.
    this.#deps.sets.giveBack(receiver, sets, limits.redeliverAfterMs).catch(error => {
      this.#deps.logger.warn({ receiver, sets: sets.length, err: error }, 'SETs could not be given back')
    })
  }

  #isSampleDue(nowMs: number): boolean {
    if (nowMs - this.#sampledAtMs < SAMPLE_EVERY_MS) return false
    this.#sampledAtMs = nowMs
    return true
  }

  #took(receiver: string, page: Page, limits: ReceiverLimits, startedAt: number): void {
    const { metrics, schedule, tracing } = this.#deps
    if (page.settled > 0) metrics.acked.inc(page.settled)
    if (page.inFlightMs !== undefined) metrics.deliveryToAckSeconds.observe(page.inFlightMs / 1000)
    if (page.reported > 0) metrics.parked.inc({ reason: 'reported' }, page.reported)
    if (page.parkedForAttempts > 0) metrics.parked.inc({ reason: 'attempts' }, page.parkedForAttempts)
    if (page.parkedAsExpired > 0) metrics.parked.inc({ reason: 'expired' }, page.parkedAsExpired)
    if (page.count > 0) {
      metrics.delivered.inc(page.count)
      tracing?.delivered(receiver, page.sets, performance.timeOrigin + startedAt)
      if (page.waitedMs !== undefined) metrics.publishToDeliverySeconds.observe(page.waitedMs / 1000)
      if (page.redelivered > 0) metrics.redelivered.inc(page.redelivered)
    }
    if (page.sweepInMs !== undefined) schedule.sweep(receiver, Math.min(page.sweepInMs, limits.redeliverAfterMs))
  }
}

function traceSettled(
  tracing: Tracing,
  receiver: string,
  { ack, setErrs }: PollRequest,
  page: Page,
  startedAt: number,
): void {
  const startedAtMs = performance.timeOrigin + startedAt
  // Which of them were known, the script does not say.
  if (page.settled > 0) tracing.acknowledged(receiver, ack, startedAtMs)
  if (page.reported > 0) {
    tracing.reported(
      receiver,
      setErrs.map(([jti, { err }]) => ({ jti, err })),
      startedAtMs,
    )
  }
}

function languageOf(call: PollCall): string {
  return BCP47.test(call.language) ? call.language : ''
}
