/** One poll as the receiver makes it. Source: RFC 8936 §2.2 (request), §2.3 (response), §2.6 (error reports). */
import { bearer, exchange, parseObject, type TokenSource } from './http.ts'
import type { SettlementBatch } from './settlements.ts'

export interface PollTarget {
  readonly url: string
  readonly token: TokenSource
  readonly fetch: typeof globalThis.fetch
  /** Asks for a shorter hold (RFC 7240 `wait`); undefined leaves it to the transmitter. */
  readonly waitMs: number | undefined
  readonly answerTimeoutMs: number
  readonly answerBytesMax: number
}

export interface PollAsk {
  readonly settled: SettlementBatch
  readonly maxEvents: number
  readonly returnImmediately: boolean
}

export interface Page {
  readonly sets: readonly (readonly [jti: string, token: string])[]
  readonly moreAvailable: boolean
}

/** A poll that was not answered 200. Whether its acknowledgements were stored is not known unless `status` is 4xx. */
export class PollError extends Error {
  override readonly name = 'PollError'
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(message: string, status: number | undefined, retryAfterMs: number | undefined) {
    super(message)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }

  /** Repeating the same request can not succeed: somebody has to change something. */
  get refused(): boolean {
    const status = this.status ?? 0
    return status >= 400 && status < 500 && ![408, 413, 425, 429].includes(status)
  }
}

/** @throws {PollError} for an answer that is not a page; whatever `fetch` throws when there is none. */
export async function exchangePoll(target: PollTarget, ask: PollAsk, signal: AbortSignal | undefined): Promise<Page> {
  const { ack, setErrs } = ask.settled
  const body = {
    ...(ack.length > 0 ? { ack } : {}),
    // Object.fromEntries defines members and never calls a setter, so a jti `__proto__` is a name like any other.
    ...(setErrs.length > 0 ? { setErrs: Object.fromEntries(setErrs) } : {}),
    maxEvents: ask.maxEvents,
    returnImmediately: ask.returnImmediately,
  }
  const answer = await exchange({
    method: 'POST',
    url: target.url,
    headers: {
      authorization: await bearer(target.token),
      'content-type': 'application/json',
      accept: 'application/json',
      ...(setErrs.length > 0 ? { 'content-language': 'en' } : {}),
      ...(target.waitMs === undefined || ask.returnImmediately
        ? {}
        : { prefer: `wait=${Math.ceil(target.waitMs / 1000)}` }),
    },
    body: JSON.stringify(body),
    timeoutMs: target.answerTimeoutMs,
    answerBytesMax: target.answerBytesMax,
    signal,
    fetch: target.fetch,
  })
  // The body of an error is undefined and not looked at (RFC 8936 §2.5.1).
  if (answer.status !== 200) throw new PollError(meaningOf(answer.status), answer.status, answer.retryAfterMs)
  const page = parseObject(answer.text)
  const sets = page?.sets
  if (page === undefined || typeof sets !== 'object' || sets === null || Array.isArray(sets)) {
    throw new PollError('the answer is not that of a polling endpoint', undefined, undefined)
  }
  return {
    // What is not even a string fails verification, and is reported, like any other text that is no SET.
    sets: Object.entries(sets).map(([jti, token]) => [jti, typeof token === 'string' ? token : '']),
    moreAvailable: page.moreAvailable === true,
  }
}

function meaningOf(status: number): string {
  switch (status) {
    case 401:
      return 'the transmitter does not accept the token (401)'
    case 403:
      return 'the token does not permit polling (403)'
    case 404:
      return 'the transmitter knows no such receiver for this token (404)'
    case 429:
      return 'the transmitter is being polled too often (429)'
    case 503:
      return 'the transmitter cannot serve polls now (503)'
    default:
      return `the transmitter answered ${status}`
  }
}
