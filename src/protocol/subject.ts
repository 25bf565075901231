/**
 * Subject identifiers.
 * Source: RFC 9493 §3 (formats), §4.1 (`sub_id`); SSF 1.0 §3.2–3.5 (`jwt_id`, `saml_assertion_id`, `ip-addresses`,
 * `complex`); the SCIM profile for events (`scim`).
 */
import type { Fault } from '../errors.ts'
import { isObject, pointer } from './json.ts'
import { isUri } from './uri.ts'

type Check = (value: unknown) => string | undefined

const text: Check = value => (typeof value === 'string' && value !== '' ? undefined : 'is not a non-empty string')
const matching =
  (pattern: RegExp, what: string): Check =>
  value =>
    text(value) ?? (pattern.test(value as string) ? undefined : `is not ${what}`)
const uri: Check = value => text(value) ?? (isUri(value as string) ? undefined : 'is not a URI')
const texts: Check = value =>
  Array.isArray(value) && value.length > 0 && value.every(item => text(item) === undefined)
    ? undefined
    : 'is not a non-empty array of non-empty strings'

/** The members of each simple format: all required, and no others allowed (RFC 9493 §3) unless it is in `OPEN`. */
const FORMATS: ReadonlyMap<string, ReadonlyMap<string, Check>> = new Map(
  Object.entries<Record<string, Check>>({
    account: { uri: matching(/^acct:[^@\s]+@[^@\s]+$/i, 'an acct URI') },
    did: { url: matching(/^did:[a-z0-9]+:[^\s]+$/, 'a DID URL') },
    email: { email: matching(/^[^\s]+@[^\s@]+$/, 'an email address') },
    iss_sub: { iss: text, sub: text },
    opaque: { id: text },
    phone_number: { phone_number: matching(/^\+[1-9]\d{1,14}$/, 'an E.164 number') },
    uri: { uri },
    scim: { uri: text }, // A path, relative to the SCIM service.
    jwt_id: { iss: text, jti: text },
    saml_assertion_id: { issuer: text, assertion_id: text },
    'ip-addresses': { 'ip-addresses': texts },
  }).map(([format, members]) => [format, new Map(Object.entries(members))]),
)

/** SCIM's events may add attributes that identify the resource. */
const OPEN: ReadonlySet<unknown> = new Set(['scim'])

/** A name nobody else would take: a URI, domain name, OID or UUID (RFC 7519 §2, "Collision-Resistant Name"). */
const COLLISION_RESISTANT = /^[^\s]*[.:][^\s]*$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function validateSubject(subject: unknown, at: string): Fault[] {
  if (!isObject(subject)) return [{ at, message: 'is not an object' }]
  switch (subject.format) {
    case 'aliases':
      return aliasesFaults(subject, at)
    case 'complex':
      return complexFaults(subject, at)
    default:
      return simpleFaults(subject, at)
  }
}

function simpleFaults(subject: Record<string, unknown>, at: string): Fault[] {
  const format = subject.format
  if (typeof format !== 'string' || format === '') {
    return [{ at: pointer(at, 'format'), message: 'is not a non-empty string' }]
  }
  const members = FORMATS.get(format)
  if (members !== undefined) return memberFaults(subject, members, at)
  if (!COLLISION_RESISTANT.test(format)) {
    return [{ at: pointer(at, 'format'), message: 'is neither a registered format nor a collision-resistant name' }]
  }
  return Object.keys(subject)
    .filter(name => isEmpty(subject[name]))
    .map(name => ({ at: pointer(at, name), message: 'is null or empty' }))
}

function memberFaults(subject: Record<string, unknown>, members: ReadonlyMap<string, Check>, at: string): Fault[] {
  const faults: Fault[] = []
  for (const [name, check] of members) {
    const message = Object.hasOwn(subject, name) ? check(subject[name]) : 'is required by its format'
    if (message !== undefined) faults.push({ at: pointer(at, name), message })
  }
  for (const name of Object.keys(subject)) {
    if (name === 'format' || members.has(name)) continue
    if (!OPEN.has(subject.format)) faults.push({ at: pointer(at, name), message: 'is not a member of its format' })
    else if (isEmpty(subject[name])) faults.push({ at: pointer(at, name), message: 'is null or empty' })
  }
  return faults
}

const list: Check = value => (Array.isArray(value) && value.length > 0 ? undefined : 'is not a non-empty array')
const ALIASES: ReadonlyMap<string, Check> = new Map([['identifiers', list]])

function aliasesFaults(subject: Record<string, unknown>, at: string): Fault[] {
  const faults = memberFaults(subject, ALIASES, at)
  if (!Array.isArray(subject.identifiers)) return faults
  const place = pointer(at, 'identifiers')
  return faults.concat(
    subject.identifiers.flatMap((identifier: unknown, i) =>
      nestedFaults(identifier, pointer(place, i), NOT_IN_ALIASES),
    ),
  )
}

function complexFaults(subject: Record<string, unknown>, at: string): Fault[] {
  const names = Object.keys(subject).filter(name => name !== 'format')
  if (names.length === 0) return [{ at, message: 'has no simple subject' }]
  return names.flatMap(name => nestedFaults(subject[name], pointer(at, name), NOT_IN_COMPLEX))
}

// RFC 9493 §3.2.8 forbids aliases in aliases; one may not come back inside a complex subject either.
const NOT_IN_ALIASES = ['aliases', 'complex']
const NOT_IN_COMPLEX = ['complex']

function nestedFaults(subject: unknown, at: string, forbidden: readonly string[]): Fault[] {
  if (isObject(subject) && forbidden.includes(subject.format as string)) {
    return [{ at: pointer(at, 'format'), message: 'may not be nested here' }]
  }
  return validateSubject(subject, at)
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)
}
