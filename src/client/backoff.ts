/** Waiting: between attempts, with jitter so that many clients do not come back at the same moment; and for a bounded time. */
import { setTimeout as delay } from 'node:timers/promises'

export interface Backoff {
  readonly baseMs: number
  readonly capMs: number
}

/**
 * @param attempt 1 after the first failure.
 * @returns milliseconds, evenly spread over the upper half of the exponential step: never zero, never all alike.
 */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): number {
  const step = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(step / 2 + (random() * step) / 2)
}

/** Waits, or returns early once the signal aborts; the caller looks at its signal itself. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(error => {
    if (!signal?.aborted) throw error
  })
}

/** @returns whether the promise was fulfilled in time, and before the signal aborted; rejects as it rejects. */
export async function settledWithin(promise: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<boolean> {
  const over = Promise.withResolvers<boolean>()
  const onAbort = () => over.resolve(false)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(onAbort, ms)
  try {
    return await Promise.race([promise.then(() => true), over.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
