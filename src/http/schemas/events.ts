/** Publishing: one event, a batch of them, or a SET issued elsewhere. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { PublishEvent } from '../../protocol/event.ts'
import { answer, byId } from './common.ts'
import { problems } from './failures.ts'
import { ref } from './ref.ts'

const BATCH_MAX = 1000

/** What is checked of a batch: its events are checked one by one, and each answers for itself. */
export const Batch = Type.Object(
  { items: Type.Array(Type.Unknown(), { maxItems: BATCH_MAX, description: 'Events.' }) },
  { additionalProperties: false },
)

const outcome = (statuses: readonly string[], description: string) =>
  Type.Unsafe<string>({ type: 'string', enum: statuses, description })

export const eventSchemas: readonly TSchema[] = [
  { ...PublishEvent, $id: 'Event' },
  Type.Object(
    {
      receiver: Type.String(),
      jti: Type.String(),
      status: outcome(
        ['queued', 'duplicate', 'disabled', 'full', 'unavailable', 'conflict'],
        '`full`, `unavailable` and `conflict` come only beside a problem.',
      ),
    },
    { $id: 'Delivery', description: 'What became of an event at one receiver.' },
  ),
  Type.Object(
    {
      id: Type.String({ description: 'The one given, or made up: then the call is not safe to repeat.' }),
      deliveries: Type.Array(ref('Delivery')),
    },
    { $id: 'Published' },
  ),
]

const tags = ['events']

export const publishEvent = {
  tags,
  operationId: 'publishEvent',
  summary: 'Publish an event',
  description:
    'Makes one SET per addressed receiver. 202 says that every one of them took it; a 429 or 503 says which did, and the same call with the same `id` completes it.',
  body: ref('Event'),
  response: { 202: answer('Taken by every addressed receiver.', ref('Published')), ...problems(409, 413) },
} satisfies FastifySchema

export const publishBatch = {
  tags,
  operationId: 'publishBatch',
  summary: 'Publish many events',
  description: 'Not atomic: each event has its own result, in order.',
  body: Type.Object({ items: Type.Array(ref('Event'), { maxItems: BATCH_MAX }) }, { additionalProperties: false }),
  response: {
    200: answer(
      'A result per event.',
      Type.Object({
        results: Type.Array(
          Type.Union([
            Type.Object({
              status: Type.Literal(202),
              id: Type.String(),
              deliveries: Type.Array(ref('Delivery')),
            }),
            ref('Problem'),
          ]),
        ),
      }),
    ),
    ...problems(413),
  },
} satisfies FastifySchema

export const appendSet = {
  tags,
  operationId: 'appendSet',
  summary: 'Append a SET issued elsewhere',
  description: 'Kept byte for byte. Needs an admin token, or a publish token with `foreign: true`.',
  params: byId,
  consumes: ['application/secevent+jwt'],
  body: Type.String({ description: 'The compact JWS.' }),
  response: {
    202: answer(
      'In the log, or there already.',
      Type.Object({
        jti: Type.String(),
        status: outcome(['queued', 'duplicate', 'disabled'], '`disabled`: not taken.'),
      }),
    ),
    ...problems(404, 409, 413),
  },
} satisfies FastifySchema
