/** What is answered when a call fails, and with which statuses. RFC 9457, and the body of polls (RFC 8936 leaves it open). */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FailureCode } from '../../errors.ts'
import { ref } from './ref.ts'

// Written out, since a union of types is no value; the compiler sees that none is missing or made up.
const CODES = Object.keys({
  bad_request: true,
  unauthenticated: true,
  token_invalid: true,
  forbidden: true,
  insecure_transport: true,
  not_found: true,
  method_not_allowed: true,
  conflict: true,
  too_large: true,
  media_type_unsupported: true,
  coding_unsupported: true,
  backlog_full: true,
  rate_limited: true,
  store_unavailable: true,
  issuer_unavailable: true,
  overloaded: true,
  internal: true,
} satisfies Record<FailureCode, true>)

const code = Type.Unsafe<FailureCode>({ type: 'string', enum: CODES, description: 'Stable, for programs.' })

export const Fault = Type.Object(
  {
    at: Type.String({ description: 'A JSON pointer into the body, or the name of a parameter.' }),
    message: Type.String(),
  },
  { $id: 'Fault' },
)

export const Problem = Type.Object(
  {
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code,
    detail: Type.String({ description: 'For people; nothing of the request is repeated.' }),
    faults: Type.Optional(Type.Array(ref('Fault'), { description: 'Every fault of the input.' })),
    id: Type.Optional(Type.String({ description: 'Of a publish: the id to repeat it with.' })),
    deliveries: Type.Optional(Type.Array(ref('Delivery'), { description: 'Of a publish: what became of it so far.' })),
    state: Type.Optional(Type.Literal('unknown', { description: 'Of a SET that is not known.' })),
  },
  { $id: 'Problem', description: 'RFC 9457.' },
)

export const PollFailure = Type.Object(
  { err: code, description: Type.String() },
  { $id: 'PollFailure', description: 'Receivers may ignore it: the status says what they need.' },
)

type Status = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 429 | 503

const MEANINGS: Readonly<Record<Status, string>> = {
  400: 'The input is not valid; each fault is named. Nothing was applied.',
  401: 'No credentials, or none that hold.',
  403: 'The credentials are not enough.',
  404: 'There is no such thing, or not for this caller.',
  409: 'It contradicts what is there.',
  413: 'Too large.',
  415: 'The media type or content coding is not supported.',
  429: 'Too much: nothing is lost, repeat it later.',
  503: 'Redis is away, or the process has too much to do: repeat it later.',
}
const RETRY: readonly Status[] = [429, 503]
const retryAfter = { 'Retry-After': { type: 'integer', description: 'Seconds.' } }

function responses(type: string, schema: TSchema, statuses: readonly Status[]) {
  return Object.fromEntries(
    statuses.map(status => [
      status,
      {
        description: MEANINGS[status],
        content: { [type]: { schema } },
        ...(RETRY.includes(status) ? { headers: retryAfter } : {}),
      },
    ]),
  )
}

/** Responses of a call of the internal listener: those every one may have, and these. */
export function problems(...statuses: readonly Status[]) {
  return responses('application/problem+json', ref('Problem'), [400, 401, 403, ...statuses, 415, 429, 503])
}

export function pollFailures() {
  return responses('application/json', ref('PollFailure'), [400, 401, 403, 404, 413, 415, 429, 503])
}
