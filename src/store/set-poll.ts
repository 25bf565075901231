/**
 * One poll in Redis: by the script alone; for a full page of a busy receiver by a transaction, which costs Redis less
 * (poll-transaction.ts); or confirmed by replicas. Which of the first two it is, is all that is remembered here: losing it
 * costs nothing but that advantage.
 */
import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { TransmitterError } from '../errors.ts'
import type { SetError } from '../protocol/set-error.ts'
import { type ConfirmedScripts, confirmedAnswer } from './confirmed-scripts.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import { type HandedOut, handsOut, type Page, toPage } from './page.ts'
import type { PollAndRead } from './poll-transaction.ts'
import type { ScriptArgument } from './script-call.ts'
import type { Scripts } from './scripts.ts'

export interface LapseLimits {
  readonly redeliverAfterMs: number
  readonly maxAttempts: number
  readonly parkAfterMs: number
}

export interface PollLimits extends LapseLimits {
  readonly expireAfterMs: number
  readonly retainAckedMs: number
  readonly dedupeWindowMs: number
  /** From append to acknowledgement; 0 when nothing was agreed. */
  readonly sloMs?: number
}

export interface Report extends SetError {
  readonly jti: string
  readonly language: string
}

export interface PollStep {
  readonly ack: readonly string[]
  readonly reports: readonly Report[]
  /** SETs wanted; 0 asks for none. */
  readonly limit: number
  readonly bytesMax: number
  /** Polls a minute that may find nothing without being held; 0 is no limit. */
  readonly idlePollsMax: number
  /** False when an empty answer leads to the poll being held. */
  readonly answeredAtOnce: boolean
  /** Look at how long one of the acknowledged SETs had been in flight. */
  readonly samplesAck?: boolean
}

/** Smaller pages gain nothing by further commands. */
const TRANSACTION_LIMIT_MIN = 16
/** Receivers that are read so at a time, in one process; others only lose the advantage. */
const TRANSACTION_RECEIVERS_MAX = 10_000
/** A caller learns within two seconds that Redis does not answer: this, and the time-out of another command. */
const REPEAT_WITHIN_MS = 400
/** Below what take_back.lua remembers. */
const TAKE_BACK_WITHIN_MS = 5000

export interface SetPollDependencies {
  readonly scripts: Scripts
  readonly keys: Keys
  readonly confirmed: ConfirmedScripts | undefined
  giveBack(receiver: string, sets: readonly HandedOut[], redeliverAfterMs: number): Promise<number>
}

export class SetPoll {
  readonly #deps: SetPollDependencies
  readonly #transactionLimitMin: number
  /** For how many SETs the next poll of a receiver may be a transaction, as its last poll was told. */
  readonly #mayReadNext = new LRUCache<string, number>({ max: TRANSACTION_RECEIVERS_MAX })

  constructor(deps: SetPollDependencies, transactionLimitMin: number = TRANSACTION_LIMIT_MIN) {
    this.#deps = deps
    this.#transactionLimitMin = transactionLimitMin
  }

  /** @throws {TransmitterError} not_found, rate_limited, store_unavailable */
  async poll(receiver: string, step: PollStep, limits: PollLimits): Promise<Page> {
    const k = this.#deps.keys.of(receiver)
    const names = [k.log, k.ids, k.why, k.errors, k.done0, k.done1, k.acked, k.counts, k.receiver]
    if (this.#deps.confirmed !== undefined) return this.#pollConfirmed(receiver, names, step, limits)
    if (this.#deps.scripts.pollAndRead === undefined || step.limit < this.#transactionLimitMin) {
      return this.#pollByScript(receiver, names, step, limits)
    }
    const read = await this.#pollAndRead(receiver, names, step, limits)
    if (read !== undefined) return read
    const page = await this.#pollByScript(receiver, names, step, limits)
    this.#noteNext(receiver, step.limit, page.mayReadNext)
    return page
  }

  async #pollByScript(receiver: string, names: string[], step: PollStep, limits: PollLimits): Promise<Page> {
    // Handed out after its time-out, a SET has reached nobody. Failing costs a wait of R.
    const onLate = (reply: unknown) => {
      if (handsOut(reply)) this.#deps.giveBack(receiver, toPage(reply).sets, limits.redeliverAfterMs).catch(() => {})
    }
    return toPage(await this.#deps.scripts.poll(names, pollArguments(step, limits, false), onLate))
  }

  /** Undefined where the script alone has to do it, or to look into what is amiss; nothing is handed out then. */
  async #pollAndRead(receiver: string, names: string[], step: PollStep, limits: PollLimits): Promise<Page | undefined> {
    const mostSets = this.#mayReadNext.get(receiver)
    if (mostSets === undefined || step.limit > mostSets) return undefined
    const startedMs = performance.now()
    const args = pollArguments(step, limits, true)
    const done = await this.#deps.scripts.pollAndRead!(names, args, step.limit).catch(storeFailure)
    if (done?.reply[0] === 'page' && done.page !== undefined) {
      const page = toPage(done.reply, done.page)
      this.#noteNext(receiver, step.limit, page.mayReadNext && page.count === step.limit)
      return page
    }
    this.#mayReadNext.delete(receiver)
    const isLate = () => performance.now() - startedMs > REPEAT_WITHIN_MS
    if (done !== undefined && done.unasked.length > 0) {
      // Failing costs a wait of R.
      const taken = this.#takeBack(receiver, done).catch(() => {})
      if (!isLate()) await taken
    }
    if (isLate()) {
      throw new TransmitterError('store_unavailable', 'The store is slow to answer.', { retryAfterSeconds: 1 })
    }
    return undefined
  }

  #noteNext(receiver: string, limit: number, mayReadNext: boolean): void {
    if (mayReadNext) this.#mayReadNext.set(receiver, limit)
    else this.#mayReadNext.delete(receiver)
  }

  async #takeBack(receiver: string, { unasked, readAtMs }: PollAndRead): Promise<void> {
    const k = this.#deps.keys.of(receiver)
    const args = [randomUUID(), readAtMs + TAKE_BACK_WITHIN_MS, ...unasked.flatMap(({ id, jti }) => [id, jti])]
    await this.#deps.scripts.take_back([k.log, k.ids, k.why, k.receiver, k.wake, k.taken], args)
  }

  async #pollConfirmed(receiver: string, names: string[], step: PollStep, limits: PollLimits): Promise<Page> {
    // A page is waited for as well as an acknowledgement: a master that was replaced and does not know it yet would
    // hand out what its successor was told is acknowledged, and no replica follows it any more.
    const isSettling = step.ack.length + step.reports.length > 0
    const args = pollArguments(step, limits, false)
    const outcome = await this.#deps.confirmed!.run('poll', names, args, reply => isSettling || handsOut(reply))
    const page = toPage(outcome.answer)
    if (!outcome.isConfirmed && page.count > 0) {
      // Failing costs a wait of R. What was acknowledged stays so, and is confirmed when it is acknowledged again.
      await this.#deps.giveBack(receiver, page.sets, limits.redeliverAfterMs).catch(() => {})
    }
    confirmedAnswer(outcome)
    return page
  }
}

function pollArguments(step: PollStep, limits: PollLimits, isReadAfter: boolean): ScriptArgument[] {
  const args: ScriptArgument[] = [
    step.limit,
    step.bytesMax,
    limits.redeliverAfterMs,
    limits.maxAttempts,
    limits.parkAfterMs,
    limits.retainAckedMs,
    limits.dedupeWindowMs,
    step.idlePollsMax,
    step.answeredAtOnce ? '1' : '0',
    limits.expireAfterMs,
    limits.sloMs ?? 0,
    step.samplesAck === true ? '1' : '0',
    step.ack.length,
    isReadAfter ? '1' : '0',
    ...step.ack,
  ]
  for (const report of step.reports) args.push(report.jti, report.err, report.description ?? '', report.language)
  return args
}
