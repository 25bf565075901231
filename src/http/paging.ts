/** `?limit&cursor` of lists. A cursor is opaque to callers and may only hold what we put into one. */
import { TransmitterError } from '../errors.ts'

export const LIMIT = { default: 100, max: 1000 }
const CURSOR = /^[\w:.()-]{1,256}$/
/** Of lists whose cursor is the id of an entry in a stream; 19 digits are always a number that Redis takes. */
export const ENTRY_CURSOR = /^\d{1,19}-\d{1,19}$/
/** The same where what follows that entry is meant. */
export const AFTER_CURSOR = /^\(\d{1,19}-\d{1,19}$/

/** @throws {TransmitterError} bad_request */
export function pagingOf(query: unknown, cursorPattern = CURSOR): { limit: number; cursor: string | undefined } {
  const { limit = String(LIMIT.default), cursor } = query as { limit?: string; cursor?: string }
  const faults = []
  const count = /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  if (count < 1 || count > LIMIT.max) faults.push({ at: 'limit', message: `is not a number from 1 to ${LIMIT.max}` })
  if (cursor !== undefined && !cursorPattern.test(cursor))
    faults.push({ at: 'cursor', message: 'is not a cursor of this list' })
  if (faults.length > 0) throw new TransmitterError('bad_request', 'The paging is not valid.', { faults })
  return { limit: count, cursor }
}
