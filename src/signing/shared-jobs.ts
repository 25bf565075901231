/**
 * What is to be signed, in memory that two threads share: no message is sent for it, none copied, and what the other
 * thread has not begun can be taken back at no cost.
 *
 * A job is a place in that memory with a state, which goes
 *   free → ready (offered) → begun (by the thread) → done or failed → free (collected)
 * or from ready back to free (taken back), or from begun to given up, which the thread makes free when it is through.
 * Each step from ready or begun is one compare-and-exchange, so that only one of the two makes it. What a state says
 * about the rest of the place was written before: operations of `Atomics` are in one order for all threads (ECMA-262 §29).
 */

const PLACES = 512
/** Of a payload, and of the token that takes its place. */
const TEXT_BYTES = 8192
/** An encoded header and a signature are shorter, unless the kid is very long: that is signed elsewhere. */
const AROUND_PAYLOAD_BYTES = 512
const PAYLOAD_BYTES_MAX = ((TEXT_BYTES - AROUND_PAYLOAD_BYTES) * 3) / 4

/** Changed by each offer: what the thread sleeps on. */
const OFFERS = 0
const WORDS_BEFORE = 1

/** Words of a place. */
const STATE = 0
const LENGTH = 1
const KEY = 2
const SENDS_WORD = 3
const WORDS = 4

const TEXTS_FROM = (WORDS_BEFORE + PLACES * WORDS) * Int32Array.BYTES_PER_ELEMENT

const FREE = 0
const READY = 1
const BEGUN = 2
const DONE = 3
const FAILED = 4
const GIVEN_UP = 5

/** A place that holds a job of the caller's. */
export type Job = number

abstract class SharedJobs {
  protected readonly words: Int32Array
  protected readonly texts: Buffer

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, WORDS_BEFORE + PLACES * WORDS)
    this.texts = Buffer.from(memory, TEXTS_FROM)
  }

  /** @returns whether the step was made: false, when the other thread was first. */
  protected step(job: Job, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, firstWordOf(job) + STATE, from, to) === from
  }
}

/** The side of the thread that has something to be signed. */
export class JobOffers extends SharedJobs {
  readonly memory: SharedArrayBuffer
  #next = 0

  constructor() {
    const memory = new SharedArrayBuffer(TEXTS_FROM + PLACES * TEXT_BYTES)
    super(memory)
    this.memory = memory
  }

  /**
   * Nobody is woken for it.
   * @param sendsWord the thread sends word when it is done
   * @returns undefined where there is no room: for so long a payload, or for now.
   */
  offer(key: number, payload: string, sendsWord: boolean): Job | undefined {
    const job = this.#next
    const { words } = this
    const at = firstWordOf(job)
    if (!fits(payload) || Atomics.load(words, at + STATE) !== FREE) return undefined
    this.#next = (job + 1) % PLACES
    words[at + LENGTH] = this.texts.write(payload, job * TEXT_BYTES, TEXT_BYTES, 'utf8')
    words[at + KEY] = key
    words[at + SENDS_WORD] = sendsWord ? 1 : 0
    Atomics.store(words, at + STATE, READY)
    Atomics.add(words, OFFERS, 1)
    return job
  }

  wake(): void {
    Atomics.notify(this.words, OFFERS)
  }

  /** @returns false when it was begun, and is to be collected. */
  takeBack(job: Job): boolean {
    return this.step(job, READY, FREE)
  }

  isUnderWay(job: Job): boolean {
    const state = Atomics.load(this.words, firstWordOf(job) + STATE)
    return state === READY || state === BEGUN
  }

  /** Of one that is no longer under way. @returns the token; undefined where it could not be signed. */
  collect(job: Job): string | undefined {
    const at = firstWordOf(job)
    const from = job * TEXT_BYTES
    const isDone = Atomics.load(this.words, at + STATE) === DONE
    const token = isDone ? this.texts.toString('latin1', from, from + this.words[at + LENGTH]!) : undefined
    Atomics.store(this.words, at + STATE, FREE)
    return token
  }

  /** Of one that was begun, and is given up if it is not done. @returns undefined then, or where it could not be signed. */
  collectNow(job: Job): string | undefined {
    return this.step(job, BEGUN, GIVEN_UP) ? undefined : this.collect(job)
  }
}

/** The side of the thread that signs. */
export class JobQueue extends SharedJobs {
  #next = 0

  /**
   * One job: mostly the oldest, but newer ones may have come into places that it has passed.
   * @param sign is given the payload in base64url; what it throws is a failure of the job.
   * @returns whether word is to be sent of it; undefined where there was none.
   */
  doOne(sign: (key: number, payload: string) => string): { sendsWord: boolean } | undefined {
    for (let i = 0; i < PLACES; i++) {
      const job = (this.#next + i) % PLACES
      if (Atomics.load(this.words, firstWordOf(job) + STATE) !== READY || !this.step(job, READY, BEGUN)) continue
      this.#next = (job + 1) % PLACES
      const at = firstWordOf(job)
      const sendsWord = this.words[at + SENDS_WORD] === 1
      const isSigned = this.#sign(job, sign)
      if (!this.step(job, BEGUN, isSigned ? DONE : FAILED)) Atomics.store(this.words, at + STATE, FREE)
      return { sendsWord }
    }
    return undefined
  }

  /** To be read before one looks for a job: what is offered meanwhile is not slept through. */
  get offers(): number {
    return Atomics.load(this.words, OFFERS)
  }

  /** Until somebody wakes this thread, unless there are more offers than so many by now. */
  sleep(offers: number): void {
    Atomics.wait(this.words, OFFERS, offers)
  }

  #sign(job: Job, sign: (key: number, payload: string) => string): boolean {
    const at = firstWordOf(job)
    const from = job * TEXT_BYTES
    try {
      const token = sign(this.words[at + KEY]!, this.texts.toString('base64url', from, from + this.words[at + LENGTH]!))
      if (token.length > TEXT_BYTES) return false
      this.words[at + LENGTH] = this.texts.write(token, from, TEXT_BYTES, 'latin1')
      return true
    } catch {
      // Found again, and told, by the thread that asked.
      return false
    }
  }
}

function firstWordOf(job: Job): number {
  return WORDS_BEFORE + job * WORDS
}

/** @returns whether there can be room for it. */
export function fits(payload: string): boolean {
  // Three bytes at the most for what is one character of a string.
  return payload.length * 3 <= PAYLOAD_BYTES_MAX || Buffer.byteLength(payload) <= PAYLOAD_BYTES_MAX
}
