/**
 * Claims in, compact JWS out. Source: RFC 8417 §2.3 (`typ`), RFC 7515 §7.1.
 *
 * Signatures that take no time are made on this thread, a few in each turn of the event loop; many at once, on a thread
 * for it. RSA takes ten times as long, and goes to the thread pool through jose.
 */
import { availableParallelism } from 'node:os'
import { CompactSign } from 'jose'
import type { SetClaims } from '../protocol/set.ts'
import type { SigningKey } from './key-ring.ts'
import { isShort, type ShortAlg, signShort } from './short-signatures.ts'
import { SigningThread } from './signing-thread.ts'

/** Fewer are signed sooner than another thread has heard of them. */
const APART_MIN = 32
/** About a millisecond's worth. */
const TOGETHER_MAX = 50
/** A thread that ended is replaced after so long. Until then all goes on without. */
const RESTART_MS = 60_000

interface Waiting {
  readonly key: SigningKey & { readonly alg: ShortAlg }
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
  /** In the order in which they were asked for. */
  #waiting: Waiting[] = []
  #thread: SigningThread | undefined
  #restartAtMs = 0
  #isClosed = false

  constructor(options: SetSignerOptions) {
    this.#options = options
  }

  async sign(key: SigningKey, claims: SetClaims): Promise<string> {
    const payload = JSON.stringify(claims)
    if (!hasShortAlg(key)) {
      return new CompactSign(Buffer.from(payload)).setProtectedHeader(headerOf(key)).sign(key.key)
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, payload, resolve, reject })
      // Behind all requests of this turn of the event loop, so that their signatures can be made together.
      if (this.#waiting.length === 1) setImmediate(() => this.#signSome())
    })
  }

  /** What is asked for from now on is signed on this thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#thread?.close()
  }

  #signSome(): void {
    const thread = this.#waiting.length < APART_MIN ? undefined : this.#readyThread()
    if (thread === undefined) {
      this.#signHere(this.#waiting.splice(0, TOGETHER_MAX))
      if (this.#waiting.length > 0) setImmediate(() => this.#signSome())
      return
    }
    for (const [key, all] of Map.groupBy(this.#waiting.splice(0), ({ key }) => key)) {
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

  async #signApart(thread: SigningThread, key: Waiting['key'], some: readonly Waiting[]): Promise<void> {
    const payloads = some.map(({ payload }) => payload)
    try {
      const tokens = await thread.sign({ alg: key.alg, key: key.key, head: headOf(key), payloads })
      for (const [i, { resolve }] of some.entries()) resolve(tokens[i] as string)
    } catch {
      // The thread has ended, and a signature is owed all the same. Were one of these the cause, it is found here.
      this.#signHere(some)
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

function hasShortAlg(key: SigningKey): key is SigningKey & { readonly alg: ShortAlg } {
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
