/** Opaque credentials. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { TokenInput } from '../../delivery/tokens.ts'
import { answer, pageOf, paging, time } from './common.ts'
import { problems } from './failures.ts'
import { ref } from './ref.ts'

const { expiresInSeconds: _expiresInSeconds, ...said } = TokenInput.properties
const tokenId = Type.String({ description: 'Names the token, and is no secret.' })

export const tokenSchemas: readonly TSchema[] = [
  { ...TokenInput, $id: 'TokenInput' },
  Type.Object(
    {
      ...said,
      tokenId,
      createdAt: time('When it was made.'),
      expiresAt: Type.Optional(time('When it ends.')),
      lastUsedAt: Type.Optional(time('Coarse. Absent: never used.')),
    },
    { $id: 'Token' },
  ),
]

const tags = ['tokens']

export const createToken = {
  tags,
  operationId: 'createToken',
  summary: 'Make a token',
  description: 'The secret is in this answer and nowhere else.',
  body: ref('TokenInput'),
  response: {
    201: answer(
      'The token.',
      Type.Object({
        tokenId,
        token: Type.String({ description: 'The secret: `sst_…`.' }),
        expiresAt: Type.Optional(time('When it ends.')),
      }),
    ),
    ...problems(413),
  },
} satisfies FastifySchema

export const listTokens = {
  tags,
  operationId: 'listTokens',
  summary: 'List tokens',
  querystring: paging(),
  response: { 200: answer('A page.', pageOf(ref('Token'))), ...problems() },
} satisfies FastifySchema

export const revokeToken = {
  tags,
  operationId: 'revokeToken',
  summary: 'Revoke a token',
  params: Type.Object({ tokenId }),
  response: { 204: { description: 'Revoked.', type: 'null' }, ...problems(404) },
} satisfies FastifySchema
