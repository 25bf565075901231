/** When a retired key may leave the key set. Pure. Source: P-180 of the requirements. */
import type { PublicKeyRecord } from './key-record.ts'

/** For this long after it was retired, a process that had not yet noticed may have signed with it. */
export const RETIRED_GRACE_MS = 600_000

/**
 * @param oldestSetMs when the oldest SET that can still be delivered was appended, parked and retained ones included;
 *   undefined if there is none.
 * @returns kids of keys with which nothing was signed that can still be delivered.
 */
export function keysThatMayLeave(
  records: readonly PublicKeyRecord[],
  oldestSetMs: number | undefined,
  nowMs: number,
): string[] {
  const signedUntilMs = Math.min(oldestSetMs ?? nowMs, nowMs) - RETIRED_GRACE_MS
  return records
    .filter(({ state, retiredAtMs }) => state === 'retired' && retiredAtMs !== undefined && retiredAtMs < signedUntilMs)
    .map(record => record.kid)
}
