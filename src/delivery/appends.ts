/**
 * What many calls append to one receiver's log at a time, in few scripts. While one is under way, what else is for the
 * receiver gathers, and goes once that is answered: a script costs Redis and this process as much as three or four SETs do.
 *
 * Each script is one step (append.lua), and the SETs of one call are in one script, in the order in which calls came. A
 * process that dies with some under way leaves what one call would have left: queued or not, and a repeated call tells.
 * What a script fails of, all calls in it fail of: each is about the same log.
 */
import type { AppendLimits, AppendResult, NewSet, SetStore } from '../store/set-store.ts'
import { atTurnsEnd } from '../turn-end.ts'
import type { HeldPolls } from './held-polls.ts'

/** Bounds of one script, so that none runs long. What fills one waits for no other. */
export const APPEND_COUNT_MAX = 100
export const APPEND_BYTES_MAX = 1_048_576
/** Nobody waits longer for others, whether Redis is far away, slow or silent. */
const GATHERED_MS = 10

interface Call {
  readonly sets: readonly NewSet[]
  readonly bytes: number
  readonly limits: AppendLimits
  resolve(results: AppendResult[]): void
  reject(error: unknown): void
}

/** Of one receiver, as long as there is something to do for it. */
interface Queue {
  readonly receiver: string
  readonly waiting: Call[]
  /** Of those that wait. */
  count: number
  bytes: number
  scriptsUnderWay: number
  timer: NodeJS.Timeout | undefined
}

export class Appends {
  readonly #sets: Pick<SetStore, 'append'>
  readonly #heldPolls: Pick<HeldPolls, 'wakeBehindAppend'> | undefined
  readonly #queues = new Map<string, Queue>()
  /** To be looked at together at the end of the turn, so that their scripts leave in few writes. */
  readonly #scheduled = new Set<Queue>()

  /** @param heldPolls absent where a poll may not be sent behind an append: `serve.ts` says when. */
  constructor(sets: Pick<SetStore, 'append'>, heldPolls?: Pick<HeldPolls, 'wakeBehindAppend'>) {
    this.#sets = sets
    this.#heldPolls = heldPolls
  }

  /**
   * @param sets no more than one script takes: `APPEND_COUNT_MAX`, and `APPEND_BYTES_MAX` unless it is one SET
   * @returns one result per SET, in order. @throws {TransmitterError} store_unavailable, also when it was not confirmed
   */
  append(receiver: string, sets: readonly NewSet[], limits: AppendLimits): Promise<AppendResult[]> {
    return new Promise((resolve, reject) => {
      const queue = this.#queueOf(receiver)
      const bytes = bytesOf(sets)
      queue.waiting.push({ sets, bytes, limits, resolve, reject })
      queue.count += sets.length
      queue.bytes += bytes
      if (mayGo(queue)) this.#schedule(queue)
      else this.#wait(queue)
    })
  }

  #queueOf(receiver: string): Queue {
    const known = this.#queues.get(receiver)
    if (known !== undefined) return known
    const queue: Queue = {
      receiver,
      waiting: [],
      count: 0,
      bytes: 0,
      scriptsUnderWay: 0,
      timer: undefined,
    }
    this.#queues.set(receiver, queue)
    return queue
  }

  #schedule(queue: Queue): void {
    if (this.#scheduled.size === 0) atTurnsEnd(this.#sendScheduled)
    this.#scheduled.add(queue)
  }

  readonly #sendScheduled = (): void => {
    const queues = [...this.#scheduled]
    this.#scheduled.clear()
    for (const queue of queues) {
      while (queue.waiting.length > 0 && mayGo(queue)) this.#send(queue)
      if (queue.waiting.length > 0) this.#wait(queue)
    }
  }

  #wait(queue: Queue): void {
    queue.timer ??= setTimeout(this.#sendAll, GATHERED_MS, queue)
  }

  readonly #sendAll = (queue: Queue): void => {
    while (queue.waiting.length > 0) this.#send(queue)
  }

  /** One script, of as many calls as it takes: those of other limits, as while memory is short, come in the next. */
  #send(queue: Queue): void {
    const { limits } = queue.waiting[0]!
    let taken = 0
    let count = 0
    let bytes = 0
    for (const call of queue.waiting) {
      const fits = count + call.sets.length <= APPEND_COUNT_MAX && bytes + call.bytes <= APPEND_BYTES_MAX
      if (taken > 0 && !(fits && areEqual(call.limits, limits))) break
      taken += 1
      count += call.sets.length
      bytes += call.bytes
    }
    queue.count -= count
    queue.bytes -= bytes
    const calls = queue.waiting.splice(0, taken)
    if (queue.waiting.length === 0) {
      clearTimeout(queue.timer)
      queue.timer = undefined
    }
    this.#run(queue, calls, limits)
  }

  #run(queue: Queue, calls: readonly Call[], limits: AppendLimits): void {
    const sets = calls.length === 1 ? calls[0]!.sets : calls.flatMap(call => call.sets)
    queue.scriptsUnderWay += 1
    this.#sets.append(queue.receiver, sets, limits).then(
      results => {
        let from = 0
        for (const { sets, resolve } of calls) {
          resolve(calls.length === 1 ? results : results.slice(from, from + sets.length))
          from += sets.length
        }
        this.#goOn(queue)
      },
      error => {
        for (const { reject } of calls) reject(error)
        this.#goOn(queue)
      },
    )
    this.#heldPolls?.wakeBehindAppend(queue.receiver)
  }

  #goOn(queue: Queue): void {
    queue.scriptsUnderWay -= 1
    if (queue.waiting.length > 0) this.#schedule(queue)
    else if (queue.scriptsUnderWay === 0) this.#queues.delete(queue.receiver)
  }
}

function mayGo({ scriptsUnderWay, count, bytes }: Queue): boolean {
  return scriptsUnderWay === 0 || count >= APPEND_COUNT_MAX || bytes >= APPEND_BYTES_MAX
}

function bytesOf(sets: readonly NewSet[]): number {
  return sets.reduce((sum, { set }) => sum + set.length, 0)
}

function areEqual(one: AppendLimits, other: AppendLimits): boolean {
  return (
    one === other ||
    (one.backlogMax === other.backlogMax &&
      one.backlogBytesMax === other.backlogBytesMax &&
      one.dedupeWindowMs === other.dedupeWindowMs)
  )
}
