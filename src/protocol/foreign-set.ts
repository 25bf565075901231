/**
 * A SET issued by someone else, handed to us for delivery as it is.
 * Source: RFC 8935 §2 (neither changed nor signed again), RFC 8417 §2, RFC 7515 §7.1 (compact serialization).
 */
import { type Fault, TransmitterError } from '../errors.ts'
import { reservedTypeFault } from './events/rules.ts'
import { decodeUtf8, isObject, jsonFaults, pointer } from './json.ts'
import { parseJson } from './json-parse.ts'
import { validateSubject } from './subject.ts'
import { isUri } from './uri.ts'

export const FOREIGN_JTI_LENGTH_MAX = 256

export interface ForeignSet {
  readonly jti: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly header: Readonly<Record<string, unknown>>
  /** It says that we issued it: true only if our key signed it, which is the caller's to check. */
  readonly ourIssuer: boolean
}

export interface ForeignSetRules {
  /** The receiver's audiences. */
  readonly audience: string | readonly string[]
  /** Our own `iss`. */
  readonly issuer: string
}

/** @throws {TransmitterError} `bad_request` with every fault. */
export function parseForeignSet(token: string, { audience, issuer }: ForeignSetRules): ForeignSet {
  const parts = token.split('.', 6)
  if (parts.length === 5) throw refused([{ at: '', message: 'is encrypted: only signed SETs are taken' }])
  const [encodedHeader = '', encodedClaims = '', signature = ''] = parts
  if (parts.length !== 3 || ![encodedHeader, encodedClaims, signature].every(isBase64url)) {
    throw refused([{ at: '', message: 'is not a compact JWS: three non-empty base64url parts' }])
  }
  const faults: Fault[] = []
  const header = readObject(encodedHeader, 'header', faults)
  const claims = readObject(encodedClaims, 'claims', faults)
  if (header !== undefined) faults.push(...headerFaults(header))
  if (claims !== undefined) faults.push(...claimsFaults(claims, audience))
  if (header === undefined || claims === undefined || faults.length > 0) throw refused(faults)
  return { jti: claims.jti as string, claims, header, ourIssuer: claims.iss === issuer }
}

function refused(faults: readonly Fault[]): TransmitterError {
  return new TransmitterError('bad_request', 'The SET is not acceptable.', { faults })
}

function isBase64url(part: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(part) && part.length % 4 !== 1
}

function readObject(part: string, name: string, faults: Fault[]): Record<string, unknown> | undefined {
  const text = decodeUtf8(Buffer.from(part, 'base64url'))
  let value: unknown
  try {
    value = text === undefined ? undefined : parseJson(text)
  } catch {
    value = undefined
  }
  if (!isObject(value)) {
    faults.push({ at: name, message: 'is not a JSON object in UTF-8' })
    return undefined
  }
  const found = jsonFaults(value, name)
  faults.push(...found)
  return found.length === 0 ? value : undefined
}

function headerFaults(header: Record<string, unknown>): Fault[] {
  const faults: Fault[] = []
  if (typeof header.alg !== 'string' || header.alg === '') faults.push({ at: 'header/alg', message: 'is required' })
  else if (header.alg.toLowerCase() === 'none')
    faults.push({ at: 'header/alg', message: 'is none: the SET is unsigned' })
  // RFC 8417 §2.3. Without it a receiver could take the SET for another kind of token, or refuse it.
  if (header.typ !== 'secevent+jwt') faults.push({ at: 'header/typ', message: 'is not secevent+jwt' })
  if (header.crit !== undefined) faults.push({ at: 'header/crit', message: 'is not understood' })
  return faults
}

function claimsFaults(claims: Record<string, unknown>, audience: string | readonly string[]): Fault[] {
  const faults: Fault[] = []
  const fault = (name: string, message: string) => faults.push({ at: `claims/${name}`, message })
  const { jti, iss, iat, aud, events } = claims
  if (typeof jti !== 'string' || jti === '' || jti.length > FOREIGN_JTI_LENGTH_MAX) {
    fault('jti', `is not a string of 1 to ${FOREIGN_JTI_LENGTH_MAX} characters`)
  }
  if (typeof iss !== 'string' || iss === '') fault('iss', 'is not a non-empty string')
  if (typeof iat !== 'number') fault('iat', 'is not a number')
  if (claims.exp !== undefined) fault('exp', 'is not allowed in a SET')
  const audiences = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(audiences) || !audiences.every(value => typeof value === 'string')) {
    fault('aud', 'is neither a string nor an array of strings')
  } else if (![audience].flat().some(value => audiences.includes(value))) {
    fault('aud', 'does not name this receiver')
  }
  if (claims.toe !== undefined && typeof claims.toe !== 'number') fault('toe', 'is not a number')
  for (const name of ['txn', 'sub']) {
    if (claims[name] !== undefined && typeof claims[name] !== 'string') fault(name, 'is not a string')
  }
  if (claims.sub_id !== undefined) faults.push(...validateSubject(claims.sub_id, 'claims/sub_id'))
  if (!isObject(events) || Object.keys(events).length === 0) {
    fault('events', 'is not an object with at least one member')
    return faults
  }
  for (const type of Object.keys(events)) {
    const at = () => pointer('claims/events', type)
    if (!isUri(type)) faults.push({ at: at(), message: 'is not named by a URI' })
    if (!isObject(events[type])) faults.push({ at: at(), message: 'is not an object' })
    // It speaks of the stream it arrives by, which is ours.
    const reserved = reservedTypeFault(type, at)
    if (reserved !== undefined) faults.push(reserved)
  }
  return faults
}
