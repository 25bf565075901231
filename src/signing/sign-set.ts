/**
 * Claims in, compact JWS out. Source: RFC 7515 §7.1.
 *
 * Signatures that take no time are shared between this thread and one for it. What the requests of a turn of the event
 * loop want signed is offered to that thread, some at a time, and what it has not begun by the turn's end is signed here: a
 * busy process is spared most of it, and an idle one waits for nobody. What these requests ask of Redis then follows in few
 * writes. Many at a time are left to the thread altogether, so that polls and publishing go on meanwhile. RSA takes ten
 * times as long, and goes to the thread pool through jose.
 */

import { availableParallelism } from 'node:os'
import { CompactSign } from 'jose'
import { atTurnsEnd } from '../turn-end.ts'
import type { SigningKey } from './key-ring.ts'
import { headerOf, headOf } from './set-header.ts'
import { fits, type Job } from './shared-jobs.ts'
import { isShortKey, type ShortKey, signShort } from './short-signatures.ts'
import { SigningThread } from './signing-thread.ts'

/** So many take half a millisecond to sign, which others would wait for. Fewer are owed by the end of a turn. */
export const MANY_SETS = 32
/** Signed here in a turn, of many: about a millisecond's worth. */
const TOGETHER_MAX = 50
/** So many in one turn are worth a thread, and are offered to it at a time (docs/performance.md). */
const THREAD_FROM = 5
/** A thread that ended is replaced after so long. Until then all goes on without. */
const RESTART_MS = 60_000

interface Waiting {
  readonly key: ShortKey
  readonly payload: string
  /** What the thread was offered for it. */
  job: Job | undefined
  readonly resolve: (token: string) => void
  readonly reject: (error: unknown) => void
}

export interface SetSignerOptions {
  /** Told when the thread ends, as nobody expects. */
  readonly onTrouble: (cause: Error) => void
}

export class SetSigner {
  readonly #options: SetSignerOptions
  /** Owed by the end of this turn, in the order in which they were asked for. */
  readonly #few: Waiting[] = []
  /** Neither signed nor given to the thread. */
  readonly #many: Waiting[] = []
  /** Left to the thread. */
  readonly #apart: Waiting[] = []
  #isScheduled = false
  #thread: SigningThread | undefined
  #restartAtMs = 0
  #isClosed = false

  constructor(options: SetSignerOptions) {
    this.#options = options
  }

  /** @param payload the claims as JSON. */
  sign(key: SigningKey, payload: string): Promise<string> {
    if (!isShortKey(key)) return signSlowly(key, payload)
    return new Promise((resolve, reject) => {
      this.#few.push({ key, payload, job: undefined, resolve, reject })
      if (this.#few.length % THREAD_FROM === 0) this.#offerFew()
      this.#schedule()
    })
  }

  /** The same for each of `MANY_SETS` and more: they are signed apart, or a few in each turn of the event loop. */
  signAmongMany(key: SigningKey, payload: string): Promise<string> {
    if (!isShortKey(key)) return signSlowly(key, payload)
    return new Promise((resolve, reject) => {
      this.#many.push({ key, payload, job: undefined, resolve, reject })
      this.#schedule()
    })
  }

  /** What is asked for from now on is signed on this thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#thread?.close()
  }

  /** The last that came. To offer them and to wake the thread costs more than it saves, if it is not for several. */
  #offerFew(): void {
    if (this.#thread?.isReady !== true) return
    for (let i = this.#few.length - THREAD_FROM; i < this.#few.length; i++) {
      const waiting = this.#few[i]!
      waiting.job = this.#thread.offer(waiting.key, waiting.payload, false)
    }
    this.#thread.jobs.wake()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    atTurnsEnd(this.#signWaiting)
  }

  readonly #signWaiting = (): void => {
    this.#isScheduled = false
    this.#signFew()
    if (this.#many.length > 0) this.#signMany()
  }

  #signFew(): void {
    const few = this.#few.splice(0)
    if (few.length >= THREAD_FROM) this.#startThread()
    const jobs = this.#thread?.jobs
    const settle: ((() => void) | undefined)[] = new Array(few.length)
    // From the newest, as the thread mostly comes from the oldest.
    for (let i = few.length - 1; i >= 0; i--) {
      const { job } = few[i]!
      if (job === undefined || jobs?.takeBack(job) !== false) settle[i] = signHere(few[i]!)
    }
    // What the thread is just about is signed twice rather than waited for: nobody knows whether it is on a processor.
    for (const [i, waiting] of few.entries()) (settle[i] ?? settleWith(jobs!.collectNow(waiting.job!), waiting))()
  }

  #signMany(): void {
    this.#startThread()
    const thread = this.#thread?.isReady === true ? this.#thread : undefined
    let at = 0
    for (let here = 0; at < this.#many.length && here < TOGETHER_MAX; at++) {
      const waiting = this.#many[at]!
      waiting.job = thread?.offer(waiting.key, waiting.payload, true)
      if (waiting.job !== undefined) {
        this.#apart.push(waiting)
        continue
      }
      // There is room again when some are done. For what is too long there is none.
      if (this.#apart.length > 0 && fits(waiting.payload)) break
      signHere(waiting)()
      here += 1
    }
    this.#many.splice(0, at)
    if (this.#apart.length > 0) {
      this.#thread!.jobs.wake()
      this.#thread!.hold(true)
    } else if (this.#many.length > 0 && !this.#isScheduled) {
      // In the next turn, and not at the end of this one: others are to get theirs.
      this.#isScheduled = true
      setImmediate(this.#signWaiting)
    }
  }

  readonly #collectApart = (): void => {
    const { jobs } = this.#thread!
    // They are mostly done in their order. One that was done out of it waits for those before, of which word comes as well.
    let done = 0
    for (; done < this.#apart.length && !jobs.isUnderWay(this.#apart[done]!.job!); done++) {
      const waiting = this.#apart[done]!
      settleWith(jobs.collect(waiting.job!), waiting)()
    }
    this.#apart.splice(0, done)
    if (this.#apart.length === 0) this.#thread!.hold(false)
    if (this.#many.length > 0) this.#schedule()
  }

  /** Called by all that have several to sign. Only on a machine that can do two things at a time. */
  #startThread(): void {
    if (
      this.#thread !== undefined ||
      this.#isClosed ||
      performance.now() < this.#restartAtMs ||
      availableParallelism() === 1
    ) {
      return
    }
    try {
      this.#thread = new SigningThread({ onDone: this.#collectApart, onEnd: cause => this.#endThread(cause) })
    } catch (cause) {
      this.#endThread(cause as Error)
    }
  }

  #endThread(cause: Error): void {
    this.#thread = undefined
    this.#restartAtMs = performance.now() + RESTART_MS
    // Signatures are owed all the same.
    this.#many.unshift(...this.#apart.splice(0))
    if (this.#many.length > 0) this.#schedule()
    if (!this.#isClosed) this.#options.onTrouble(cause)
  }
}

/** @returns what tells the one that waits. */
function signHere(waiting: Waiting): () => void {
  const { key, payload, resolve, reject } = waiting
  try {
    const token = signShort(key.alg, key.key, headOf(key), Buffer.from(payload).toString('base64url'))
    return () => resolve(token)
  } catch (error) {
    return () => reject(error)
  }
}

/** @param token of the thread; undefined where this thread has to sign, or to find why it cannot be signed. */
function settleWith(token: string | undefined, waiting: Waiting): () => void {
  return token === undefined ? signHere(waiting) : () => waiting.resolve(token)
}

function signSlowly(key: SigningKey, payload: string): Promise<string> {
  return new CompactSign(Buffer.from(payload)).setProtectedHeader(headerOf(key)).sign(key.key)
}
