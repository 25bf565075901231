/** Tells a Redis that is away or unwilling, which is worth a retry, from a bug, which is not. */
import { TransmitterError } from '../errors.ts'

/** NOSCRIPT: a script is sent again, but not for ever, as when memory was short the first time. */
const PASSING =
  /^(NOSCRIPT|LOADING|READONLY|MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|BUSY|UNBLOCKED|NOAUTH|WRONGPASS|MISCONF)\b/
const AWAY =
  /Connection is closed|Command timed out|max retries per request|Reached the max|Failed to refresh slots|ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|None of startup nodes|All sentinels are unreachable|Stream isn't writeable|Cluster isn't ready|Too many Cluster redirections|Socket timeout|aborted due to connection close/i

/** What a caller is told: whether it is worth a retry. */
export function failureOf(error: unknown): unknown {
  if (error instanceof TransmitterError) return error
  const message = error instanceof Error ? error.message : ''
  if (message.startsWith('OOM') || message.includes('-OOM')) {
    return new TransmitterError('store_unavailable', 'The store is out of memory.', {
      retryAfterSeconds: 5,
      cause: error,
    })
  }
  if (PASSING.test(message) || AWAY.test(message) || (error instanceof Error && AWAY.test(error.name))) {
    return new TransmitterError('store_unavailable', 'The store cannot be reached.', {
      retryAfterSeconds: 1,
      cause: error,
    })
  }
  return error
}

/** @returns never: always throws; for `.catch(storeFailure)`. */
export function storeFailure(error: unknown): never {
  throw failureOf(error)
}
