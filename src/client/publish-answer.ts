/**
 * Reads what the transmitter answers to one event, alone or as an item of a batch, and decides what comes next.
 * Pure: no I/O, no clock.
 */
import { parseObject } from './http.ts'
import type { Delivery, EventFault } from './publish-error.ts'

export type Verdict =
  | { readonly kind: 'taken'; readonly deliveries: readonly Delivery[] }
  | { readonly kind: 'again'; readonly failure: Failure; readonly deliveries: readonly Delivery[] | undefined }
  | { readonly kind: 'refused'; readonly failure: Failure; readonly deliveries: readonly Delivery[] | undefined }

export interface Failure {
  readonly message: string
  readonly code: string
  readonly status: number | undefined
  readonly faults?: readonly EventFault[]
  readonly cause?: unknown
}

/** Answers after which the same call may succeed: it timed out, came too early, or met a fault that passes. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

export function readAnswer(status: number, body: Record<string, unknown> | undefined): Verdict {
  const deliveries = readDeliveries(body?.deliveries)
  if (status >= 200 && status < 300) {
    if (deliveries !== undefined) return { kind: 'taken', deliveries }
    // Something between us and the transmitter answered: nothing says that the event was taken.
    const failure = { message: 'the answer is not that of a transmitter', code: 'bad_answer', status }
    return { kind: 'again', failure, deliveries: undefined }
  }
  return { kind: PASSING.has(status) ? 'again' : 'refused', failure: readFailure(status, body), deliveries }
}

/** @returns the item answers of a batch, or undefined if the text is not one answer for each of `count` events. */
export function readBatch(text: string, count: number): Verdict[] | undefined {
  const results = parseObject(text)?.results
  if (!Array.isArray(results) || results.length !== count) return undefined
  return results.map((result: Record<string, unknown>) => readAnswer(Number(result.status), result))
}

export function readFailure(status: number, body: Record<string, unknown> | undefined): Failure {
  const detail = body?.detail ?? body?.title
  return {
    message: typeof detail === 'string' ? detail : `the transmitter answered ${status}`,
    code: typeof body?.code === 'string' ? body.code : `http_${status}`,
    status,
    ...(Array.isArray(body?.faults) ? { faults: body.faults as EventFault[] } : {}),
  }
}

function readDeliveries(value: unknown): Delivery[] | undefined {
  return Array.isArray(value) ? (value as Delivery[]) : undefined
}
