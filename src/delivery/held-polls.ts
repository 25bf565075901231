/**
 * The bounded set of open long polls. A held poll is one object here: it has no timer and no Redis connection of its own.
 *
 * One wake runs per receiver at a time, for its oldest live waiter, and goes on only while more is available, so that
 * one SET does not wake them all, and a burst of notifications becomes one script.
 */
import { TransmitterError } from '../errors.ts'
import type { Arrivals } from '../store/arrivals.ts'
import type { Page } from '../store/page.ts'
import { type Deadline, Deadlines } from './deadlines.ts'
import type { Presence } from './presence.ts'

/** What ends a held poll; a page only when SETs, or the news that there are some, were found for it. */
export type HeldOutcome = Page | 'timeout' | 'displaced' | 'aborted'

export interface HeldPollsOptions {
  readonly perReceiverMax: number
  readonly totalMax: number
}

export interface HeldPoll {
  readonly receiver: string
  readonly waitMs: number
  readonly presence: Presence
  readonly take: () => Promise<Page>
  readonly giveBack: (page: Page) => void
}

interface Waiter {
  readonly receiver: string
  /** Runs the poll script for this waiter, without acknowledgements. */
  readonly take: () => Promise<Page>
  /** Takes back a page that came when the waiter had already ended. */
  readonly giveBack: (page: Page) => void
  /** @returns false if it had ended before. */
  readonly end: (outcome: HeldOutcome | Error) => boolean
  deadline: Deadline | undefined
  isLive: boolean
}

interface Queue {
  readonly waiters: Set<Waiter>
  isWaking: boolean
  wakeAgain: boolean
}

/** Wakes after a reconnect: spread out, so that a restarted Redis is not met by all held polls at once. */
const WAKES_AT_ONCE = 64
/** Between a wake that the store failed and the next for the same receiver. */
const FAILED_WAKE_AGAIN_MS = 500

export class HeldPolls {
  readonly #options: HeldPollsOptions
  readonly #queues = new Map<string, Queue>()
  readonly #deadlines = new Deadlines()
  /** Whose wake failed while they had more waiters: looked at together, when the timer rings. */
  readonly #failed = new Set<string>()
  #failedTimer: NodeJS.Timeout | undefined
  #count = 0
  #isDraining = false

  constructor(options: HeldPollsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  countOf(receiver: string): number {
    return this.#queues.get(receiver)?.waiters.size ?? 0
  }

  /** Those who hold polls here, with how many. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#queues].map(([receiver, { waiters }]) => [receiver, waiters.size]))
  }

  /**
   * @param mark what `arrivals.mark` said before the poll was found empty: if the subscription stood since then and
   *   nothing came, the script need not run a second time.
   * @throws {TransmitterError} store_unavailable, not_found
   */
  async hold(arrivals: Arrivals, poll: HeldPoll, mark: number | undefined): Promise<HeldOutcome> {
    if (this.#isDraining) return 'timeout'
    if (poll.presence.isGone) return 'aborted'
    const { promise, resolve, reject } = Promise.withResolvers<HeldOutcome>()
    const waiter: Waiter = {
      receiver: poll.receiver,
      take: poll.take,
      giveBack: poll.giveBack,
      deadline: undefined,
      isLive: true,
      end: outcome => {
        if (!waiter.isLive) return false
        waiter.isLive = false
        this.#remove(waiter)
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
        return true
      },
    }
    this.#add(waiter)
    poll.presence.whenGone(() => waiter.end('aborted'))
    waiter.deadline = this.#deadlines.after(poll.waitMs, () => {
      // An empty answer would claim that there is nothing to fetch, which nobody knows while Redis is away.
      if (arrivals.isListening(poll.receiver)) waiter.end('timeout')
      else
        waiter.end(new TransmitterError('store_unavailable', 'The store cannot be reached.', { retryAfterSeconds: 1 }))
    })
    const subscribed = arrivals.hold(poll.receiver)
    subscribed.then(
      () => {
        if (mark === undefined || arrivals.mark(poll.receiver) !== mark) this.wake(poll.receiver)
      },
      error => waiter.end(error as Error),
    )
    try {
      return await promise
    } finally {
      waiter.deadline.cancel()
      subscribed.then(
        () => arrivals.release(poll.receiver),
        () => {},
      )
    }
  }

  /** Something arrived for `receiver`, or may have. */
  wake(receiver: string): void {
    const queue = this.#queues.get(receiver)
    if (queue === undefined) return
    if (queue.isWaking) {
      queue.wakeAgain = true
      return
    }
    void this.#serve(queue)
  }

  /**
   * To be called when an append for `receiver` was sent, and not answered yet: what one held poll asks is sent behind it,
   * over the same connection, and the poll is answered a turn before the notification comes, which then finds nobody.
   * Where several are held it is left to the notification, which would have a second one look for nothing. An append that
   * comes to nothing, as of a duplicate, costs a script.
   */
  wakeBehindAppend(receiver: string): void {
    const queue = this.#queues.get(receiver)
    if (queue?.waiters.size === 1 && !queue.isWaking) void this.#serve(queue, true)
  }

  /** After notifications may have been lost: every receiver named is looked at, some at a time. */
  async wakeAll(receivers: readonly string[]): Promise<void> {
    const left = [...receivers]
    const lane = async () => {
      for (let receiver = left.pop(); receiver !== undefined; receiver = left.pop()) {
        const queue = this.#queues.get(receiver)
        if (queue === undefined || queue.isWaking) {
          this.wake(receiver)
          continue
        }
        await this.#serve(queue)
      }
    }
    await Promise.all(Array.from({ length: Math.min(WAKES_AT_ONCE, left.length) }, lane))
  }

  /** Ends every held poll as timed out, spread over `spreadMs`, and lets none in any more. */
  async drain(spreadMs: number): Promise<void> {
    this.#isDraining = true
    clearTimeout(this.#failedTimer)
    const held = [...this.#queues.values()].flatMap(queue => [...queue.waiters])
    const steps = Math.max(1, Math.min(held.length, Math.floor(spreadMs / 20)))
    for (let step = 0; step < steps; step++) {
      for (let i = step; i < held.length; i += steps) held[i]?.end('timeout')
      if (step < steps - 1) await new Promise(resolve => setTimeout(resolve, spreadMs / steps))
    }
    for (const queue of this.#queues.values()) for (const waiter of queue.waiters) waiter.end('timeout')
  }

  /** @param isEarly nothing has told that there is something. */
  async #serve(queue: Queue, isEarly = false): Promise<void> {
    queue.isWaking = true
    try {
      await this.#serveEach(queue, isEarly)
    } finally {
      queue.isWaking = false
    }
  }

  async #serveEach(queue: Queue, isEarly: boolean): Promise<void> {
    for (; ; isEarly = false) {
      queue.wakeAgain = false
      const waiter = first(queue.waiters)
      if (waiter === undefined) return
      let page: Page
      try {
        page = await waiter.take()
      } catch (error) {
        const isStoreAway = error instanceof TransmitterError && error.code === 'store_unavailable'
        // Without that append it would be held all the same. If the append came to pass, its notification tells.
        if (isEarly && isStoreAway) {
          if (queue.wakeAgain) this.#wakeLater(waiter.receiver)
          return
        }
        // A receiver that is gone has nothing for any of its waiters.
        waiter.end(error as Error)
        if (!isStoreAway) continue
        if (queue.waiters.size > 0) this.#wakeLater(waiter.receiver)
        return
      }
      const found = page.count > 0 || page.moreAvailable
      if (found && !waiter.end(page)) waiter.giveBack(page)
      if (!page.moreAvailable && !queue.wakeAgain) return
    }
  }

  /** The subscription may stand all the same, and then nothing else wakes those who are left for what was just told. */
  #wakeLater(receiver: string): void {
    if (this.#isDraining) return
    this.#failed.add(receiver)
    this.#failedTimer ??= setTimeout(() => {
      const receivers = [...this.#failed]
      this.#failed.clear()
      this.#failedTimer = undefined
      void this.wakeAll(receivers)
    }, FAILED_WAKE_AGAIN_MS).unref()
  }

  #add(waiter: Waiter): void {
    let queue = this.#queues.get(waiter.receiver)
    if (queue === undefined) {
      queue = { waiters: new Set(), isWaking: false, wakeAgain: false }
      this.#queues.set(waiter.receiver, queue)
    }
    queue.waiters.add(waiter)
    this.#count += 1
    // The oldest is most likely abandoned (D-18).
    if (queue.waiters.size > this.#options.perReceiverMax) first(queue.waiters)?.end('displaced')
    if (this.#count > this.#options.totalMax) first(this.#fullest().waiters)?.end('displaced')
  }

  #remove(waiter: Waiter): void {
    const queue = this.#queues.get(waiter.receiver)
    if (!queue?.waiters.delete(waiter)) return
    this.#count -= 1
    if (queue.waiters.size === 0) this.#queues.delete(waiter.receiver)
  }

  #fullest(): Queue {
    let fullest: Queue | undefined
    for (const queue of this.#queues.values()) {
      if (fullest === undefined || queue.waiters.size > fullest.waiters.size) fullest = queue
    }
    return fullest as Queue
  }
}

function first<T>(values: Iterable<T>): T | undefined {
  for (const value of values) return value
  return undefined
}
