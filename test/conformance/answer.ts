/** What one answer must look like: the rules of every answer on the poll route, and those of a vector. */
import { claimsOf } from './issuer.ts'
import { header, type RawAnswer } from './raw-http.ts'
import { amount, type BodyShape, type HeaderRule, type Limits, NotRun } from './vector.ts'

/** RFC 8936 §2.3 with RFC 7519 §3: JWS or JWE in compact form. */
const COMPACT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2,4}$/
const CACHE_VALIDATORS = ['Expires', 'ETag', 'Last-Modified', 'Content-Location']
const ERROR_BODY_BYTES_MAX = 2048

/** @param tokens jti → token as it was enqueued: what is delivered is compared byte for byte. */
export function pollAnswerFaults(answer: RawAnswer, tokens: ReadonlyMap<string, string>): string[] {
  const faults: string[] = []
  if (!/\bno-store\b/i.test(header(answer, 'Cache-Control') ?? '')) faults.push('Cache-Control without no-store')
  for (const name of CACHE_VALIDATORS) if (header(answer, name) !== undefined) faults.push(`${name} is present`)
  if (header(answer, 'Content-Encoding') !== undefined) faults.push('Content-Encoding although none was accepted')
  if (answer.status === 200) faults.push(...pollBodyFaults(answer, tokens))
  else if (answer.status < 400) faults.push(`status ${answer.status} is neither 200 nor an error`)
  else if (answer.body.length > ERROR_BODY_BYTES_MAX) faults.push(`error body of ${answer.body.length} bytes`)
  return faults
}

function pollBodyFaults(answer: RawAnswer, tokens: ReadonlyMap<string, string>): string[] {
  const contentType = header(answer, 'Content-Type')
  const faults: string[] = []
  if (!/^application\/json\s*(;|$)/i.test(contentType ?? '')) faults.push(`Content-Type is ${contentType ?? 'absent'}`)
  if (answer.body[0] !== 0x7b) faults.push('body does not begin with {')
  const body = parseBody(answer)
  if (body === undefined) return [...faults, 'body is not JSON']
  const { sets, moreAvailable, ...others } = body
  if (Object.keys(others).length > 0) faults.push(`body has further members: ${Object.keys(others).join(', ')}`)
  if (moreAvailable !== undefined && typeof moreAvailable !== 'boolean') faults.push('moreAvailable is not a boolean')
  if (typeof sets !== 'object' || sets === null || Array.isArray(sets)) return [...faults, 'sets is not an object']
  for (const [jti, set] of Object.entries(sets)) {
    const name = JSON.stringify(jti)
    if (typeof set !== 'string' || !COMPACT.test(set)) faults.push(`the SET of ${name} is not in compact form`)
    else if (tokens.has(jti) && tokens.get(jti) !== set) faults.push(`the SET of ${name} is not the one enqueued`)
    else if (claimsOf(set).jti !== jti) faults.push(`the SET of ${name} has another jti`)
  }
  return faults
}

function parseBody(answer: RawAnswer): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(answer.body.toString('utf8'))
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

export function headerFaults(answer: RawAnswer, rules: Readonly<Record<string, HeaderRule>>): string[] {
  return Object.entries(rules).flatMap(([name, rule]) => {
    const value = header(answer, name)
    return Object.entries(rule).flatMap(([operator, operand]) =>
      holds(value, operator, operand)
        ? []
        : [
            `header ${name} is ${value === undefined ? 'absent' : JSON.stringify(value)}, wanted ${operator} ${operand}`,
          ],
    )
  })
}

function holds(value: string | undefined, operator: string, operand: unknown): boolean {
  // Media types, challenge schemes and directives compare without regard to case (RFC 9110).
  const has = (part: unknown) => value?.toLowerCase().includes(String(part).toLowerCase()) ?? false
  const each = Array.isArray(operand) ? operand : [operand]
  switch (operator) {
    case 'present':
      return (value !== undefined) === (operand === true)
    case 'absent':
      return (value === undefined) === (operand === true)
    case 'contains':
      return each.every(has)
    case 'notContains':
      return !each.some(has)
    case 'equals':
      return value === String(operand)
    case 'matches':
      return value !== undefined && new RegExp(String(operand)).test(value)
    default:
      throw new NotRun(`unknown header operator ${operator}`)
  }
}

export function shapeFaults(answer: RawAnswer, shape: BodyShape, limits: Limits): string[] {
  const body = parseBody(answer)
  if (body === undefined) return ['body is not a JSON object']
  const keys = Object.keys((body.sets as Record<string, unknown> | undefined) ?? {})
  return [...setsFaults(keys, shape.sets, limits), ...moreAvailableFaults(body.moreAvailable, shape.moreAvailable)]
}

function setsFaults(keys: readonly string[], wanted: BodyShape['sets'], limits: Limits): string[] {
  if (wanted === undefined) return []
  const faults: string[] = []
  if (wanted.keys !== undefined) {
    const missing = wanted.keys.filter(jti => !keys.includes(jti))
    const extra = keys.filter(jti => !wanted.keys?.includes(jti))
    if (missing.length > 0) faults.push(`sets lacks ${missing.join(', ')}`)
    if (extra.length > 0) faults.push(`sets has ${extra.join(', ')} too much`)
  }
  if (wanted.min !== undefined && keys.length < amount(wanted.min, limits)) {
    faults.push(`sets has ${keys.length} SETs, wanted at least ${wanted.min}`)
  }
  if (wanted.max !== undefined && keys.length > amount(wanted.max, limits)) {
    faults.push(`sets has ${keys.length} SETs, wanted at most ${wanted.max}`)
  }
  return faults
}

function moreAvailableFaults(value: unknown, wanted: BodyShape['moreAvailable']): string[] {
  if (wanted === undefined || wanted === 'any') return []
  const shown = `moreAvailable is ${value === undefined ? 'absent' : JSON.stringify(value)}`
  if (wanted === 'falseOrAbsent') return value === undefined || value === false ? [] : [shown]
  if (typeof wanted !== 'boolean') throw new NotRun(`unknown moreAvailable rule ${wanted}`)
  return value === wanted ? [] : [`${shown}, wanted ${wanted}`]
}

/** Names of the protocol, which an error may say although the request said them too. */
const PROTOCOL_WORDS = new Set(
  'ack setErrs maxEvents returnImmediately err description invalid_request invalid_key invalid_issuer invalid_audience authentication_failed access_denied invalid_state application/json jti true false null object array string number poll Bearer bearer utf-8'.split(
    ' ',
  ),
)
const INTERNALS = [
  /\bat .+:\d+:\d+/,
  /node_modules|\.(ts|js|lua)\b/,
  /ECONN|ioredis|XREADGROUP|WRONGTYPE/i,
  /Unexpected token|JSON at position/,
]

/** RFC 8936 §2.5.1 leaves error bodies open; ours repeat nothing and show nothing (P-117). */
export function echoFaults(answer: RawAnswer, submitted: readonly string[]): string[] {
  const body = answer.body.toString('utf8')
  const echoed = submitted.filter(value => value.length >= 3 && !PROTOCOL_WORDS.has(value) && body.includes(value))
  const shown = INTERNALS.filter(pattern => pattern.test(body))
  return [
    ...echoed.map(value => `the error body repeats ${JSON.stringify(value.slice(0, 60))}`),
    ...shown.map(pattern => `the error body shows internals: ${pattern.exec(body)?.[0]}`),
  ]
}
