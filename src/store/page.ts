/** What a poll came to: the reply of poll.lua as a page, with or without the SETs that were read behind it. */
import { TransmitterError } from '../errors.ts'
import type { RawPage } from './raw-page.ts'

export interface HandedOut {
  readonly jti: string
  readonly set: string
  /** 1 for the first delivery. */
  readonly attempt: number
}

type Numbers = readonly [
  more: number,
  sweepInMs: number,
  nowMs: number,
  settled: number,
  oldestMs: number,
  inFlightMs: number,
]
type StraightReply = readonly [word: 'sets' | 'page', ...Numbers, ...fresh: string[]]
type FullReply = readonly [
  word: 'ok',
  ...Numbers,
  reported: number,
  parkedForAttempts: number,
  parkedAsExpired: number,
  fresh: readonly string[],
  old: readonly (string | number)[],
]
type PollReply = StraightReply | FullReply
/** Where SETs stand in them. */
const STRAIGHT_FRESH = 7
const [FULL_FRESH, FULL_OLD] = [10, 11] as const

export function handsOut(reply: unknown): boolean {
  const answer = reply as PollReply
  if (answer[0] === 'ok') return answer[FULL_FRESH].length + answer[FULL_OLD].length > 0
  return answer[0] === 'sets' && answer.length > STRAIGHT_FRESH
}

/**
 * @param raw what was read behind the script, of which the reply then says nothing.
 * @throws {TransmitterError} not_found, rate_limited
 */
export function toPage(reply: unknown, raw?: RawPage): Page {
  const answer = reply as [string, ...number[]]
  if (answer[0] === 'unknown') throw new TransmitterError('not_found', 'No such receiver.')
  if (answer[0] === 'limited') {
    throw new TransmitterError('rate_limited', 'Too many polls that found nothing. Use long polling.', {
      retryAfterSeconds: answer[1] ?? 60,
    })
  }
  return new Page(answer as unknown as PollReply, raw)
}

export class Page {
  readonly count: number
  /** Those among them that were handed out before. */
  readonly redelivered: number
  /** The SETs, where they are in memory as Redis sent them. */
  readonly bytes: RawPage | undefined
  readonly moreAvailable: boolean
  /** The next poll for as many SETs may be a transaction. */
  readonly mayReadNext: boolean
  /** Milliseconds after which a sweep should run; undefined when one is flagged already or not needed. */
  readonly sweepInMs: number | undefined
  /** How long the oldest SET handed out for the first time had been in the log. */
  readonly waitedMs: number | undefined
  /** How long one of the acknowledged SETs had been in flight, if that was asked for and one was. */
  readonly inFlightMs: number | undefined
  readonly settled: number
  readonly reported: number
  readonly parkedForAttempts: number
  readonly parkedAsExpired: number
  readonly #sets: readonly HandedOut[] | undefined

  constructor(reply: PollReply, raw: RawPage | undefined) {
    const [word, more, sweepInMs, nowMs, settled, oldest, inFlightMs] = reply
    const oldestMs = raw === undefined ? oldest : raw.oldestMs
    this.bytes = raw
    this.moreAvailable = more === 1
    this.sweepInMs = sweepInMs < 0 ? undefined : sweepInMs
    this.waitedMs = oldestMs < 0 ? undefined : Math.max(0, nowMs - oldestMs)
    this.inFlightMs = inFlightMs < 0 ? undefined : inFlightMs
    this.settled = settled
    if (word === 'ok') {
      const [, , , , , , , reported, parkedForAttempts, parkedAsExpired, fresh, old] = reply
      this.mayReadNext = false
      this.reported = reported
      this.parkedForAttempts = parkedForAttempts
      this.parkedAsExpired = parkedAsExpired
      const again = redelivered(old)
      this.redelivered = again.filter(({ attempt }) => attempt > 1).length
      this.#sets = [...again, ...firstDelivered(fresh, 0)]
    } else {
      this.mayReadNext = this.moreAvailable
      this.reported = 0
      this.parkedForAttempts = 0
      this.parkedAsExpired = 0
      this.redelivered = 0
      this.#sets = raw === undefined ? firstDelivered(reply as StraightReply, STRAIGHT_FRESH) : undefined
    }
    this.count = raw?.count ?? this.#sets!.length
  }

  /** Made when asked for, where the page is in bytes: most pages are only sent. */
  get sets(): readonly HandedOut[] {
    return this.#sets ?? this.bytes!.list()
  }
}

function firstDelivered(reply: readonly (string | number)[], from: number): HandedOut[] {
  const sets: HandedOut[] = []
  for (let i = from; i < reply.length; i += 2) {
    sets.push({ jti: reply[i] as string, set: reply[i + 1] as string, attempt: 1 })
  }
  return sets
}

function redelivered(old: readonly (string | number)[]): HandedOut[] {
  const sets: HandedOut[] = []
  for (let i = 0; i < old.length; i += 3) {
    sets.push({ jti: old[i] as string, set: old[i + 1] as string, attempt: old[i + 2] as number })
  }
  return sets
}
