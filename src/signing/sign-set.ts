/**
 * Claims in, compact JWS out. Source: RFC 8417 §2.3 (`typ`), RFC 7515 §7.1.
 *
 * Signatures that take no time are made on this thread, at the end of a turn of the event loop: what the requests of
 * the turn ask of Redis then follows in few writes. Many of them are made on a thread for it. RSA takes ten times as long, and goes to the thread
 * pool through jose.
 */

import { availableParallelism } from 'node:os'
import { CompactSign } from 'jose'
import { atTurnsEnd } from '../turn-end.ts'
import type { SigningKey } from './key-ring.ts'
import { isShort, type ShortAlg, signShort } from './short-signatures.ts'
import { SigningThread } from './signing-thread.ts'

/** Fewer are signed sooner than another thread has heard of them. */
export const MANY_SETS = 32
/** About a millisecond's worth. */
const TOGETHER_MAX = 50
/** A thread that ended is replaced after so long. Until then all goes on without. */
const RESTART_MS = 60_000

type ShortKey = SigningKey & { readonly alg: ShortAlg }

interface Waiting {
  readonly key: ShortKey
  readonly payload: string
  readonly resolve: (token: string) => void
  readonly reject: (error: unknown) => void
}

export interface SetSignerOptions {
  /** Told when the thread ends, as nobody expects. */
  readonly onTrouble: (cause: Error) => void
}

export class SetSigner {
  readonly #options: SetSignerOptions
  /** In the order in which they were asked for; a few wait for no others. */
  readonly #few: Waiting[] = []
  readonly #many: Waiting[] = []
  #isScheduled = false
  #thread: SigningThread | undefined
  #restartAtMs = 0
  #isClosed = false

  constructor(options: SetSignerOptions) {
    this.#options = options
  }

  /** @param payload the claims as JSON. */
  sign(key: SigningKey, payload: string): Promise<string> {
    return this.#sign(key, payload, this.#few)
  }

  /** The same for each of `MANY_SETS` and more: they are signed apart, or a few in each turn of the event loop. */
  signAmongMany(key: SigningKey, payload: string): Promise<string> {
    return this.#sign(key, payload, this.#many)
  }

  /** What is asked for from now on is signed on this thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#thread?.close()
  }

  #sign(key: SigningKey, payload: string, waiting: Waiting[]): Promise<string> {
    if (!hasShortAlg(key)) {
      return new CompactSign(Buffer.from(payload)).setProtectedHeader(headerOf(key)).sign(key.key)
    }
    return new Promise((resolve, reject) => {
      waiting.push({ key, payload, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    atTurnsEnd(this.#signWaiting)
  }

  readonly #signWaiting = (): void => {
    this.#isScheduled = false
    this.#signHere(this.#few.splice(0))
    if (this.#many.length > 0) this.#signMany()
  }

  #signMany(): void {
    const thread = this.#readyThread()
    if (thread === undefined) {
      this.#signHere(this.#many.splice(0, TOGETHER_MAX))
      if (this.#many.length > 0 && !this.#isScheduled) {
        // In the next turn, and not at the end of this one: others are to get theirs.
        this.#isScheduled = true
        setImmediate(this.#signWaiting)
      }
      return
    }
    for (const [key, all] of Map.groupBy(this.#many.splice(0), ({ key }) => key)) {
      for (let from = 0; from < all.length; from += TOGETHER_MAX) {
        void this.#signApart(thread, key, all.slice(from, from + TOGETHER_MAX))
      }
    }
  }

  #signHere(some: readonly Waiting[]): void {
    for (const { key, payload, resolve, reject } of some) {
      try {
        resolve(signShort(key.alg, key.key, headOf(key), payload))
      } catch (error) {
        reject(error)
      }
    }
  }

  async #signApart(thread: SigningThread, key: ShortKey, some: readonly Waiting[]): Promise<void> {
    const payloads = some.map(({ payload }) => payload)
    try {
      const tokens = await thread.sign({ alg: key.alg, key: key.key, head: headOf(key), payloads })
      if (tokens.length !== some.length) throw new Error('the signing thread did not sign what it was asked to')
      for (const [i, { resolve }] of some.entries()) resolve(tokens[i]!)
    } catch {
      // The thread has ended, or has to, and a signature is owed all the same. Were one of these the cause, it is found
      // on this thread.
      void thread.close()
      this.#many.push(...some)
      this.#schedule()
    }
  }

  /** Started by the first that has many to sign, and on a machine that can do two things at a time. */
  #readyThread(): SigningThread | undefined {
    if (
      this.#thread === undefined &&
      !this.#isClosed &&
      Date.now() >= this.#restartAtMs &&
      availableParallelism() > 1
    ) {
      try {
        this.#thread = new SigningThread(cause => this.#endThread(cause))
      } catch (cause) {
        this.#endThread(cause as Error)
      }
    }
    return this.#thread?.isReady === true ? this.#thread : undefined
  }

  #endThread(cause: Error): void {
    this.#thread = undefined
    this.#restartAtMs = Date.now() + RESTART_MS
    if (!this.#isClosed) this.#options.onTrouble(cause)
  }
}

function hasShortAlg(key: SigningKey): key is ShortKey {
  return isShort(key.alg)
}

function headerOf({ alg, kid }: SigningKey): { alg: string; typ: string; kid: string } {
  return { alg, typ: 'secevent+jwt', kid }
}

/** The protected header, encoded. */
const heads = new WeakMap<SigningKey, string>()

function headOf(key: SigningKey): string {
  const known = heads.get(key)
  if (known !== undefined) return known
  const head = Buffer.from(JSON.stringify(headerOf(key))).toString('base64url')
  heads.set(key, head)
  return head
}
