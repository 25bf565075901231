/**
 * Errors a receiver may report about a SET.
 * Source: RFC 8936 §2.6, RFC 8935 §2.4 (registered codes); `invalid_state` is registered by SSF 1.0 §11.
 */
import { type Static, Type } from '@sinclair/typebox'

export const ERR_LENGTH_MAX = 128
export const DESCRIPTION_LENGTH_MAX = 1024

export const SetErrorSchema = Type.Object({
  err: Type.String({ minLength: 1, description: 'A registered Security Event Token error code.' }),
  description: Type.Optional(Type.String({ description: 'For people, in the language of Content-Language.' })),
})
export type SetError = Static<typeof SetErrorSchema>

export const REGISTERED_SET_ERRORS: ReadonlySet<string> = new Set([
  'invalid_request',
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'authentication_failed',
  'access_denied',
  'invalid_state',
])

/** The value of a metric label: receivers make up codes, and labels have to stay few. */
export function errLabel(err: string): string {
  return REGISTERED_SET_ERRORS.has(err) ? err : 'other'
}

/** What is kept of a report: its texts are untrusted and have no length of their own. */
export function boundSetError(error: SetError): SetError {
  const err = truncate(error.err, ERR_LENGTH_MAX)
  if (error.description === undefined) return { err }
  return { err, description: truncate(error.description, DESCRIPTION_LENGTH_MAX) }
}

/** @returns at most `lengthMax` UTF-16 code units, without half a surrogate pair at the end. */
export function truncate(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text
  const last = text.charCodeAt(lengthMax - 1)
  const splitsPair = last >= 0xd800 && last <= 0xdbff
  return text.slice(0, splitsPair ? lengthMax - 1 : lengthMax)
}
