/** One receiver's SETs as an operator sees them. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { STATES } from '../../delivery/set-lists.ts'
import { answer, byId, count, pageOf, paging, time } from './common.ts'
import { problems } from './failures.ts'
import { ref } from './ref.ts'

const JTIS_MAX = 10_000

/** Which dead letters. */
export const Choice = Type.Union(
  [
    Type.Object(
      { jtis: Type.Array(Type.String(), { minItems: 1, maxItems: JTIS_MAX }) },
      { additionalProperties: false },
    ),
    Type.Object({ all: Type.Literal(true) }, { additionalProperties: false }),
  ],
  { description: '{"jtis":[…]} or {"all":true}' },
)

const Moment = Type.Union([Type.String({ maxLength: 64 }), Type.Integer({ minimum: 0 })], {
  description: 'A time as RFC 3339, or in milliseconds since the epoch.',
})
/** When the SETs were acknowledged. */
export const Range = Type.Object({ from: Moment, to: Type.Optional(Moment) }, { additionalProperties: false })

const named = (names: readonly string[]) => Type.Unsafe<string>({ type: 'string', enum: names })
const listable = named(Object.keys(STATES))
const REASONS = ['reported', 'attempts', 'expired', 'disabled']

const parked: TProperties = {
  reason: Type.Optional(named(REASONS)),
  parkedAt: Type.Optional(time('When it was parked.')),
  err: Type.Optional(Type.String({ description: 'What the receiver reported.' })),
  description: Type.Optional(Type.String({ description: 'Untrusted text of the receiver.' })),
  language: Type.Optional(Type.String()),
}
const inState: TProperties = {
  inStateSeconds: Type.Optional(Type.Number({ description: 'How long it has been in flight or owed again.' })),
}

export const setSchemas: readonly TSchema[] = [
  Type.Object(
    {
      jti: Type.String(),
      state: listable,
      attempts: count('Deliveries so far.'),
      publishedAt: time('When it entered the log.'),
      bytes: count('Of the SET.'),
      ...inState,
      ...parked,
    },
    { $id: 'ListedSet' },
  ),
  Type.Object(
    {
      jti: Type.String(),
      state: named([...Object.keys(STATES), 'discarded']),
      attempts: Type.Optional(count('Deliveries so far.')),
      publishedAt: Type.Optional(time('When it entered the log.')),
      acknowledgedAt: Type.Optional(time('When it was acknowledged; known while it is retained.')),
      ...inState,
      ...parked,
      claims: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Never the signature.' })),
    },
    { $id: 'Set' },
  ),
  Type.Object(
    {
      jti: Type.String(),
      err: Type.String(),
      description: Type.String({ description: 'Untrusted text of the receiver.' }),
      language: Type.Optional(Type.String()),
      attempts: count('Deliveries until it was reported.'),
      at: time('When it was reported.'),
    },
    { $id: 'Report' },
  ),
  Type.Object(
    {
      moved: count('SETs this call moved.'),
      remaining: count('What the same call made again would find.'),
      retainedFrom: Type.Optional(time('Of a replay: the oldest acknowledgement that is kept.')),
    },
    { $id: 'Moved' },
  ),
]

const tags = ['SETs']
const moved = answer('How many.', ref('Moved'))
const page = answer('A page.', pageOf(ref('ListedSet')))

export const listSets = {
  tags,
  operationId: 'listSets',
  summary: 'List SETs by state',
  params: byId,
  querystring: paging({
    state: Type.Optional(Type.Unsafe<string>({ ...listable, default: 'queued' })),
  }),
  response: { 200: page, ...problems(404) },
} satisfies FastifySchema

export const showSet = {
  tags,
  operationId: 'showSet',
  summary: 'Show where a SET is',
  params: Type.Object({ ...byId.properties, jti: Type.String() }),
  response: { 200: answer('Where it is.', ref('Set')), ...problems(404) },
} satisfies FastifySchema

export const listParked = {
  tags,
  operationId: 'listParked',
  summary: 'List dead letters',
  params: byId,
  querystring: paging({ reason: Type.Optional(named(REASONS)) }),
  response: { 200: page, ...problems(404) },
} satisfies FastifySchema

export const requeueParked = {
  tags,
  operationId: 'requeueParked',
  summary: 'Deliver dead letters again',
  description: 'Under the same jti. Repeat the call while `remaining` is not 0.',
  params: byId,
  body: Choice,
  response: { 200: moved, ...problems(404, 413) },
} satisfies FastifySchema

export const discardParked = {
  tags,
  operationId: 'discardParked',
  summary: 'Discard dead letters',
  description: 'For good. Repeat the call while `remaining` is not 0.',
  params: byId,
  body: Choice,
  response: { 200: moved, ...problems(404, 413) },
} satisfies FastifySchema

export const replaySets = {
  tags,
  operationId: 'replaySets',
  summary: 'Deliver acknowledged SETs again',
  description: 'Those that are still retained; what is pending stays as it is.',
  params: byId,
  body: Range,
  response: { 200: moved, ...problems(404, 409, 413) },
} satisfies FastifySchema

export const listErrors = {
  tags,
  operationId: 'listErrors',
  summary: 'List what receivers reported',
  description: 'Newest first.',
  params: byId,
  querystring: paging(),
  response: { 200: answer('A page.', pageOf(ref('Report'))), ...problems(404) },
} satisfies FastifySchema
