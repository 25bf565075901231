/** What a poll came to: the reply of poll.lua as a page, with or without the SETs that were read behind it. */
import { TransmitterError } from '../errors.ts'
import type { RawPage } from './raw-page.ts'

export interface HandedOut {
  readonly jti: string
  readonly set: string
  /** 1 for the first delivery. */
  readonly attempt: number
}

type PollReply = readonly [
  word: 'ok' | 'page',
  more: number,
  sweepInMs: number,
  nowMs: number,
  settled: number,
  reported: number,
  parkedForAttempts: number,
  parkedAsExpired: number,
  oldestMs: number,
  fresh: readonly string[],
  old: readonly (string | number)[],
  inFlightMs: number,
  mayReadNext: number,
]

export function handsOut(reply: unknown): boolean {
  const [word, , , , , , , , , fresh, old] = reply as PollReply
  return word === 'ok' && fresh.length + old.length > 0
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
    const [, more, sweepInMs, nowMs, settled, reported, parkedForAttempts, parkedAsExpired] = reply
    const [oldestMs, inFlightMs] = [raw === undefined ? reply[8] : raw.oldestMs, reply[11]]
    this.#sets = raw === undefined ? handedOut(reply[9], reply[10]) : undefined
    this.bytes = raw
    this.count = raw?.count ?? this.#sets!.length
    this.redelivered = reply[10].length === 0 ? 0 : this.sets.filter(({ attempt }) => attempt > 1).length
    this.moreAvailable = more === 1
    this.mayReadNext = reply[12] === 1
    this.sweepInMs = sweepInMs < 0 ? undefined : sweepInMs
    this.waitedMs = oldestMs < 0 ? undefined : Math.max(0, nowMs - oldestMs)
    this.inFlightMs = inFlightMs < 0 ? undefined : inFlightMs
    this.settled = settled
    this.reported = reported
    this.parkedForAttempts = parkedForAttempts
    this.parkedAsExpired = parkedAsExpired
  }

  /** Made when asked for, where the page is in bytes: most pages are only sent. */
  get sets(): readonly HandedOut[] {
    return this.#sets ?? this.bytes!.list()
  }
}

function handedOut(fresh: readonly string[], old: readonly (string | number)[]): HandedOut[] {
  const sets: HandedOut[] = []
  for (let i = 0; i < old.length; i += 3) {
    sets.push({ jti: old[i] as string, set: old[i + 1] as string, attempt: old[i + 2] as number })
  }
  for (let i = 0; i < fresh.length; i += 2) sets.push({ jti: fresh[i]!, set: fresh[i + 1]!, attempt: 1 })
  return sets
}
