/** What both clients need of HTTP: one bounded exchange with a deadline, and the few headers they read. */
import { parseJson } from '../protocol/json-parse.ts'

/** A token, or how to get the one that counts now: asked before every request, so that a rotated token is picked up. */
export type TokenSource = string | (() => string | Promise<string>)

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Deadline of the whole exchange. */
  readonly timeoutMs: number
  /** An answer larger than this is not read to its end. */
  readonly answerBytesMax: number
  readonly signal: AbortSignal | undefined
  readonly fetch: typeof globalThis.fetch
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** What `Retry-After` asks for, if it is there and can be read. */
  readonly retryAfterMs: number | undefined
}

/** @throws when there is no whole answer: refused, reset, timed out, aborted, too large. */
export async function exchange(request: Exchange): Promise<Answer> {
  // Not AbortSignal.any and .timeout: their timers would outlive each of very many short exchanges.
  const controller = new AbortController()
  const timer = setTimeout(
    () => controller.abort(new DOMException('no answer in time', 'TimeoutError')),
    request.timeoutMs,
  )
  const onAbort = () => controller.abort(request.signal?.reason)
  if (request.signal?.aborted) onAbort()
  request.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const response = await request.fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'error', // A redirect would carry the credentials to a place nobody verified.
      signal: controller.signal,
    })
    return {
      status: response.status,
      text: await readText(response, request.answerBytesMax),
      retryAfterMs: retryAfterMs(response.headers.get('retry-after'), Date.now()),
    }
  } finally {
    clearTimeout(timer)
    request.signal?.removeEventListener('abort', onAbort)
  }
}

async function readText(response: Response, bytesMax: number): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`) // Leaving the loop cancels it.
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** Whatever is asked for: a mistaken date must not silence a client for a year. */
const RETRY_AFTER_MAX_MS = 3_600_000

/** RFC 9110 §10.2.3: seconds, or a date. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const ms = /^\d+$/.test(header ?? '') ? Number(header) * 1000 : dateMs(header ?? '') - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms))
}

/** Of an HTTP date; Date.parse alone makes something of almost any text. */
function dateMs(text: string): number {
  return /^[A-Z][a-z]{2}, .* GMT$/.test(text) ? Date.parse(text) : Number.NaN
}

export async function bearer(token: TokenSource): Promise<string> {
  return `Bearer ${typeof token === 'string' ? token : await token()}`
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseJson(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** The sentence of a failed exchange: `fetch` says "fetch failed" and keeps the reason in `cause`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'no answer in time'
  const cause = error.cause
  if (error.message === 'fetch failed' && cause instanceof Error) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
    // An AggregateError of several addresses has a code and no message.
    return cause.message === '' ? (code ?? cause.name) : cause.message
  }
  return error.message
}
