/**
 * The receiver's side: long-polls a transmitter, verifies every SET, hands it to a handler and acknowledges it once the
 * handler has stored it. Source: RFC 8936 (polling), RFC 8935 §2 (what to verify), RFC 8417.
 *
 * A SET can come more than once and in any order. Within one process a SET that was handled is acknowledged again and not
 * handed out again; across restarts the handler has to know by `jti` what it already stored.
 */
import type { JSONWebKeySet } from 'jose'
import { type Backoff, backoffMs, pause, settledWithin } from './backoff.ts'
import { checkUrl, count } from './checks.ts'
import { Handling, type SetHandler } from './handling.ts'
import { reasonOf, type TokenSource } from './http.ts'
import { exchangePoll, type Page, type PollAsk, PollError, type PollTarget } from './poll-exchange.ts'
import { type SettlementBatch, Settlements } from './settlements.ts'
import { createSetVerifier, type ReceivedSet, type SetErrorCode, type SetVerifier } from './verify-set.ts'

export * from './event-types.ts'
export type { SetHandler } from './handling.ts'
export type { TokenSource } from './http.ts'
export { PollError } from './poll-exchange.ts'
export type { ReceivedSet, SetClaims, SetErrorCode } from './verify-set.ts'

export interface ReceiverOptions {
  /** The `pollUrl` that registration answered. */
  readonly pollUrl: string
  /** A token of scope `poll`. */
  readonly token: TokenSource
  /** Whose SETs are taken, and which keys are theirs. Without keys: those beside `pollUrl`, at `/.well-known/jwks.json`. */
  readonly issuers: readonly { readonly issuer: string; readonly jwksUrl?: string; readonly jwks?: JSONWebKeySet }[]
  /** Who we are: one of these must be in `aud`. */
  readonly audience: string | readonly string[]
  /** Signature algorithms that are accepted. Default ES256, RS256, PS256, EdDSA. */
  readonly algorithms?: readonly string[]
  /** SETs a poll, at most. Default 100. */
  readonly maxEvents?: number
  /** Calls of the handler at a time. Default 1, which keeps the order of a page. */
  readonly concurrency?: number
  /** How long a SET's handler is waited for. Default 60 s. If it finishes later, the SET is acknowledged then. */
  readonly handlerTimeoutMs?: number
  /** Acknowledgements wait no longer than this for the rest of their page. Default 5 s. */
  readonly ackWithinMs?: number
  /** Acknowledgements and reports a request. Default 1 000. */
  readonly acksPerRequestMax?: number
  /** Asks the transmitter to hold a poll no longer than this. Default: as long as it likes. */
  readonly waitMs?: number
  /** A poll without an answer counts as lost after this. Default 150 s; more than the transmitter's longest hold. */
  readonly answerTimeoutMs?: number
  /** An answer larger than this counts as lost. Default 64 MiB. */
  readonly answerBytesMax?: number
  /** How long stopping waits for handlers, and then again for the last acknowledgements. Default 10 s. */
  readonly stopGraceMs?: number
  /** After failures, unless the transmitter asks for longer. Default 250 ms, doubling up to 30 s. */
  readonly backoff?: Backoff
  /** Plain HTTP to another machine: the token and the SETs can be read on the way. */
  readonly allowPlainHttp?: boolean
  /** Another `fetch`, for instance one with a client certificate. */
  readonly fetch?: typeof globalThis.fetch
  /** Told what went wrong. Everything is dealt with already; log it. */
  readonly onProblem?: (problem: ReceiverProblem) => void
}

export type ReceiverProblem =
  /** A poll, or fetching the keys before it, failed. */
  | { readonly kind: 'poll_failed'; readonly error: unknown; readonly reason: string; readonly retryInMs: number }
  /** A SET does not verify and was, or will be, reported. */
  | { readonly kind: 'set_refused'; readonly jti: string; readonly err: SetErrorCode; readonly description: string }
  /** The keys of a SET's issuer cannot be had; it comes again. */
  | { readonly kind: 'set_undecided'; readonly jti: string; readonly error: unknown; readonly reason: string }
  /** The handler failed, or took too long; the SET comes again. */
  | { readonly kind: 'handler_failed'; readonly jti: string; readonly error: unknown; readonly reason: string }
  /** These acknowledgements and reports were not taken; their SETs come again. */
  | { readonly kind: 'acknowledgements_lost'; readonly jtis: readonly string[]; readonly reason: string }

export interface PollSummary {
  readonly received: number
  readonly acknowledged: number
  readonly reported: number
  /** Neither acknowledged nor reported: these come again. */
  readonly left: number
  readonly moreAvailable: boolean
}

export interface Receiver {
  /**
   * Polls until the signal aborts; then ends the held poll, waits for handlers, sends what is not acknowledged yet and
   * resolves.
   * @throws {PollError} when the transmitter refuses the very first poll: address, token or receiver are wrong. Later
   * refusals are tried again like any failure.
   */
  run(handler: SetHandler, options: { readonly signal: AbortSignal }): Promise<void>
  /**
   * One poll, its SETs handled and settled.
   * @param options.wait holds the poll until a SET arrives or the transmitter's time is up. Default false.
   * @throws {PollError} or what `fetch` throws.
   */
  pollOnce(
    handler: SetHandler,
    options?: { readonly wait?: boolean; readonly signal?: AbortSignal },
  ): Promise<PollSummary>
}

/** @throws {TypeError} for options that cannot work. */
export function createReceiver(options: ReceiverOptions): Receiver {
  return new PollingReceiver(options)
}

/** An empty answer sooner than this was not held: polling again at once would be a busy loop. */
const HELD_MIN_MS = 1_000
const FRUITLESS_PAUSE_MAX_MS = 5_000
const FLUSH_ATTEMPTS = 3

class PollingReceiver implements Receiver {
  readonly #target: PollTarget
  readonly #verifier: SetVerifier
  readonly #maxEvents: number
  readonly #ackWithinMs: number
  readonly #acksMax: number
  readonly #stopGraceMs: number
  readonly #backoff: Backoff
  readonly #onProblem: (problem: ReceiverProblem) => void
  readonly #settlements = new Settlements()
  readonly #handling: Handling
  /** Lowered when the transmitter finds a request too large or bad, raised again by success. */
  #acksPerRequest: number
  #busy = false

  constructor(options: ReceiverOptions) {
    const plain = options.allowPlainHttp === true
    const pollUrl = checkUrl('pollUrl', options.pollUrl, plain)
    const fetch = options.fetch ?? globalThis.fetch
    this.#target = {
      url: pollUrl.href,
      token: options.token,
      fetch,
      waitMs: options.waitMs,
      answerTimeoutMs: count('answerTimeoutMs', options.answerTimeoutMs ?? 150_000),
      answerBytesMax: count('answerBytesMax', options.answerBytesMax ?? 64 * 1024 * 1024),
    }
    const algorithms = options.algorithms ?? ['ES256', 'RS256', 'PS256', 'EdDSA']
    if (algorithms.some(alg => alg === 'none' || alg.startsWith('HS'))) {
      throw new TypeError('algorithms may only name public-key signatures')
    }
    if (options.issuers.length === 0) throw new TypeError('issuers is empty: no SET could be verified')
    const audience = typeof options.audience === 'string' ? [options.audience] : options.audience
    if (audience.length === 0) throw new TypeError('audience is empty: no SET could be meant for this receiver')
    this.#verifier = createSetVerifier({
      issuers: options.issuers.map(({ issuer, jwksUrl, jwks }) => ({
        issuer,
        keys: jwks ?? (jwksUrl === undefined ? keysBeside(pollUrl) : checkUrl('jwksUrl', jwksUrl, plain)),
      })),
      audience,
      algorithms,
      fetch,
    })
    this.#maxEvents = count('maxEvents', options.maxEvents ?? 100)
    this.#ackWithinMs = count('ackWithinMs', options.ackWithinMs ?? 5_000)
    this.#acksMax = count('acksPerRequestMax', options.acksPerRequestMax ?? 1_000)
    this.#acksPerRequest = this.#acksMax
    this.#stopGraceMs = count('stopGraceMs', options.stopGraceMs ?? 10_000)
    this.#backoff = options.backoff ?? { baseMs: 250, capMs: 30_000 }
    this.#onProblem = options.onProblem ?? (() => undefined)
    this.#handling = new Handling({
      concurrency: count('concurrency', options.concurrency ?? 1),
      timeoutMs: count('handlerTimeoutMs', options.handlerTimeoutMs ?? 60_000),
      lateMax: this.#maxEvents,
      onStored: jti => this.#settlements.acknowledge(jti),
      onFailed: (jti, error) => this.#onProblem({ kind: 'handler_failed', jti, error, reason: reasonOf(error) }),
    })
  }

  async run(handler: SetHandler, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#exclusively(async () => {
      let failures = 0
      let answered = false
      /** Polls in a row that got nothing done. */
      let fruitless = 0
      while (!signal.aborted) {
        const startedAtMs = performance.now()
        let page: Page
        try {
          await this.#handling.room(signal)
          page = await this.#poll(this.#maxEvents, false, signal)
        } catch (error) {
          if (signal.aborted) break
          if (!answered && error instanceof PollError && error.refused) throw error
          await this.#waitAfter(error, ++failures, signal)
          continue
        }
        answered = true
        failures = 0
        const { left } = await this.#settlePage(page, handler, signal)
        const busyLoop =
          page.sets.length === 0 ? performance.now() - startedAtMs < HELD_MIN_MS : left === page.sets.length
        fruitless = busyLoop ? fruitless + 1 : 0
        if (busyLoop) await pause(Math.min(FRUITLESS_PAUSE_MAX_MS, backoffMs(fruitless, this.#backoff)), signal)
      }
      await this.#finish()
    })
  }

  async pollOnce(
    handler: SetHandler,
    { wait = false, signal }: { readonly wait?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<PollSummary> {
    return this.#exclusively(async () => {
      const page = await this.#poll(this.#maxEvents, !wait, signal)
      const counts = await this.#settlePage(page, handler, signal)
      await this.#finish()
      return { received: page.sets.length, ...counts, moreAvailable: page.moreAvailable }
    })
  }

  async #exclusively<T>(action: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error('this receiver is polling already: make another for a second poll')
    this.#busy = true
    try {
      return await action()
    } finally {
      this.#busy = false
    }
  }

  /** A poll that also settles what is open; what is too much for one request is sent ahead of it. */
  async #poll(maxEvents: number, returnImmediately: boolean, signal: AbortSignal | undefined): Promise<Page> {
    // Without keys nothing can be verified, and what is handed out meanwhile would only wait to be owed again.
    await this.#verifier.prepare()
    while (this.#settlements.size > this.#acksPerRequest) await this.#acknowledgeOnly(signal)
    return this.#exchange(maxEvents, returnImmediately, signal)
  }

  /** RFC 8936 §2.4.2: without `returnImmediately` even this would be held. */
  #acknowledgeOnly(signal: AbortSignal | undefined): Promise<Page> {
    return this.#exchange(0, true, signal)
  }

  async #exchange(maxEvents: number, returnImmediately: boolean, signal: AbortSignal | undefined): Promise<Page> {
    const settled = this.#settlements.next(this.#acksPerRequest)
    const ask: PollAsk = { settled, maxEvents, returnImmediately }
    try {
      const page = await exchangePoll(this.#target, ask, signal)
      this.#settlements.remove(settled)
      this.#acksPerRequest = Math.min(this.#acksMax, this.#acksPerRequest * 2)
      return page
    } catch (error) {
      if (error instanceof PollError && (error.status === 400 || error.status === 413)) this.#sendLess(settled)
      throw error
    }
  }

  /** The transmitter did not like what was sent: fewer at a time, and one that is refused alone is let go. */
  #sendLess(settled: SettlementBatch): void {
    const jtis = jtisOf(settled)
    if (jtis.length > 1) {
      this.#acksPerRequest = Math.ceil(jtis.length / 2)
    } else if (jtis.length === 1) {
      this.#settlements.remove(settled)
      this.#onProblem({ kind: 'acknowledgements_lost', jtis, reason: 'the transmitter refuses the request' })
    }
  }

  async #waitAfter(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const asked = error instanceof PollError ? (error.retryAfterMs ?? 0) : 0
    const retryInMs = Math.max(asked, backoffMs(failures, this.#backoff))
    this.#onProblem({ kind: 'poll_failed', error, reason: reasonOf(error), retryInMs })
    await pause(retryInMs, signal)
  }

  async #settlePage(
    page: Page,
    handler: SetHandler,
    signal: AbortSignal | undefined,
  ): Promise<{ acknowledged: number; reported: number; left: number }> {
    const counts = { acknowledged: 0, reported: 0, left: 0 }
    const toHandle: ReceivedSet[] = []
    const verified = await this.#verifier.verify(page.sets)
    for (const [i, [jti]] of page.sets.entries()) {
      const verification = verified[i]
      if (verification?.kind === 'valid') {
        toHandle.push(verification.set)
      } else if (verification?.kind === 'refused') {
        const { err, description } = verification
        this.#settlements.report(jti, { err, description })
        this.#onProblem({ kind: 'set_refused', jti, err, description })
        counts.reported++
      } else {
        const error = verification?.cause
        this.#onProblem({ kind: 'set_undecided', jti, error, reason: reasonOf(error) })
        counts.left++
      }
    }
    const run = this.#handling.run(toHandle, handler, signal)
    // A slow SET must not hold back the acknowledgements of the others until they are owed again.
    while (!(await settledWithin(run.done, this.#ackWithinMs, signal)) && !signal?.aborted) {
      if (this.#settlements.size > 0) await this.#acknowledgeOnly(signal).catch(() => undefined) // Repeated later.
    }
    counts.acknowledged = run.stored
    counts.left += toHandle.length - run.stored
    return counts
  }

  /** Handlers first, since what they finish is acknowledged too. */
  async #finish(): Promise<void> {
    await this.#handling.end(this.#stopGraceMs)
    const endsAtMs = performance.now() + this.#stopGraceMs
    const rest = () => Math.max(0, Math.ceil(endsAtMs - performance.now()))
    let reason = 'the time for stopping was over'
    for (let attempt = 1; this.#settlements.size > 0 && rest() > 0 && attempt <= FLUSH_ATTEMPTS; ) {
      try {
        await this.#acknowledgeOnly(AbortSignal.timeout(rest()))
      } catch (error) {
        reason = reasonOf(error)
        await pause(Math.min(rest(), backoffMs(attempt++, this.#backoff)), undefined)
      }
    }
    const left = this.#settlements.next(Number.POSITIVE_INFINITY)
    const jtis = jtisOf(left)
    if (jtis.length > 0) this.#onProblem({ kind: 'acknowledgements_lost', jtis, reason })
  }
}

function jtisOf({ ack, setErrs }: SettlementBatch): string[] {
  return [...ack, ...setErrs.map(([jti]) => jti)]
}

/** The key set of a transmitter of this kind stands beside its polling endpoints. */
function keysBeside(pollUrl: URL): URL {
  const match = /^(.*)\/receivers\/[^/]+\/poll\/?$/.exec(pollUrl.pathname)
  if (match === null) throw new TypeError('issuers: no keys are given, and pollUrl does not tell where they are')
  return new URL(`${match[1]}/.well-known/jwks.json`, pollUrl)
}
