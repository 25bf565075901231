/** The public listener: what receivers call. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { PollRequestSchema, PollResponseSchema } from '../../protocol/poll.ts'
import { answer, byId } from './common.ts'
import { pollFailures } from './failures.ts'
import { ref } from './ref.ts'

export const receivingSchemas: readonly TSchema[] = [
  { ...PollRequestSchema, $id: 'PollRequest' },
  { ...PollResponseSchema, $id: 'PollResponse' },
]

const tags = ['receiving']

export const poll = {
  tags,
  operationId: 'poll',
  summary: 'Poll for SETs',
  description:
    'RFC 8936: acknowledges what came last, and asks for more. Held until a SET arrives unless `returnImmediately` is true; `Prefer: wait=N` shortens that.',
  params: byId,
  body: ref('PollRequest'),
  response: { 200: answer('SETs by jti; there may be none.', ref('PollResponse')), ...pollFailures() },
} satisfies FastifySchema

export const jwks = {
  tags,
  operationId: 'jwks',
  summary: 'Public keys that SETs verify with',
  description: 'RFC 7517 §5.',
  security: [],
  response: {
    200: answer(
      'The key set.',
      Type.Object({
        keys: Type.Array(
          Type.Object(
            {
              kty: Type.String(),
              kid: Type.String(),
              alg: Type.String(),
              use: Type.Literal('sig'),
            },
            { additionalProperties: true },
          ),
        ),
      }),
    ),
  },
} satisfies FastifySchema
