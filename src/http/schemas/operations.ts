/** Stats, audit and the rest of what operators read. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { answer, byId, count, pageOf, paging, time } from './common.ts'
import { problems } from './failures.ts'
import { ref } from './ref.ts'

const numbers: TProperties = {
  queued: count('Never sent.'),
  inFlight: count('Handed out, not acknowledged yet.'),
  owedAgain: count('To be delivered again.'),
  parked: count('Dead letters.'),
  retained: count('Acknowledged and kept for replay.'),
  oldestUnackedSeconds: Type.Number({ minimum: 0, description: 'Age of the oldest unacknowledged SET; 0: none.' }),
  published: count('Since the receiver was registered, like the following.'),
  delivered: count(),
  redelivered: count(),
  acked: count(),
  bytes: count('Of the SETs held.'),
  heldPolls: count('In the process that answers.'),
}

export const operationSchemas: readonly TSchema[] = [
  Type.Object(
    {
      receiver: Type.String(),
      status: Type.Unsafe<string>({ type: 'string', enum: ['enabled', 'paused', 'disabled'] }),
      ...numbers,
      lastPollAt: Type.Optional(time('Absent: it has never polled.')),
    },
    { $id: 'Stats' },
  ),
  Type.Object({ receivers: count(), ...numbers }, { $id: 'StatsTotals' }),
  Type.Object(
    {
      id: Type.String(),
      at: time('When.'),
      who: Type.String({ description: 'A token id, `admin`, or a client.' }),
      from: Type.String({ description: 'Network address.' }),
      what: Type.String({ description: 'Method and route.' }),
      target: Type.String({ description: 'What it was done to.' }),
      status: Type.Integer({ description: 'Of the answer.' }),
      note: Type.String({ description: 'What changed.' }),
    },
    { $id: 'Act' },
  ),
]

const tags = ['operations']

export const showStats = {
  tags,
  operationId: 'showStats',
  summary: 'Count what a receiver holds',
  description: 'Exact, now.',
  params: byId,
  response: { 200: answer('The counts.', ref('Stats')), ...problems(404) },
} satisfies FastifySchema

export const listStats = {
  tags,
  operationId: 'listStats',
  summary: 'Count what all receivers hold',
  querystring: paging(),
  response: {
    200: answer('A page, and totals of all.', pageOf(ref('Stats'), { totals: ref('StatsTotals') })),
    ...problems(),
  },
} satisfies FastifySchema

export const listActs = {
  tags,
  operationId: 'listActs',
  summary: 'List administrative acts',
  description: 'Newest first.',
  querystring: paging(),
  response: { 200: answer('A page.', pageOf(ref('Act'))), ...problems() },
} satisfies FastifySchema

const open = { tags, security: [] }
const status = (value: string) => Type.Object({ status: Type.Literal(value) })

export const livez = {
  ...open,
  operationId: 'livez',
  summary: 'Is the process alive?',
  description: 'On every listener.',
  response: { 200: answer('It is.', status('alive')) },
} satisfies FastifySchema

export const readyz = {
  ...open,
  operationId: 'readyz',
  summary: 'Is the process ready?',
  description: 'On every listener. It is once Redis was reached, until it drains.',
  response: {
    200: answer('It is.', status('ready')),
    503: answer('It is not.', status('not ready')),
  },
} satisfies FastifySchema

export const openapi = {
  ...open,
  operationId: 'openapi',
  summary: 'This description',
  response: {
    200: { description: 'OpenAPI 3.1.', type: 'object', additionalProperties: true },
  },
} satisfies FastifySchema
