/** The registry of receivers. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { ReceiverInput, ReceiverPatch } from '../../protocol/receiver.ts'
import { answer, byId, pageOf, paging, time } from './common.ts'
import { problems } from './failures.ts'
import { ref } from './ref.ts'

const always = Type.Required(Type.Pick(ReceiverInput, ['eventTypes', 'status', 'settings']))

export const receiverSchemas: readonly TSchema[] = [
  { ...ReceiverInput, $id: 'ReceiverInput' },
  { ...ReceiverPatch, $id: 'ReceiverPatch' },
  Type.Object(
    {
      ...ReceiverInput.properties,
      ...always.properties,
      pollUrl: Type.String({ description: 'Where it polls.' }),
      createdAt: time('When it was registered.'),
      updatedAt: time('When it was last changed.'),
    },
    { $id: 'Receiver' },
  ),
]

const tags = ['receivers']
const record = answer('The receiver.', ref('Receiver'))

export const createReceiver = {
  tags,
  operationId: 'createReceiver',
  summary: 'Register a receiver',
  body: ref('ReceiverInput'),
  response: { 201: { ...record, headers: { Location: { type: 'string' } } }, ...problems(409, 413) },
} satisfies FastifySchema

export const listReceivers = {
  tags,
  operationId: 'listReceivers',
  summary: 'List receivers',
  description: 'By id. A page may be shorter than `limit` while there is a `next`.',
  querystring: paging(),
  response: { 200: answer('A page.', pageOf(ref('Receiver'))), ...problems() },
} satisfies FastifySchema

export const showReceiver = {
  tags,
  operationId: 'showReceiver',
  summary: 'Show a receiver',
  params: byId,
  response: { 200: record, ...problems(404) },
} satisfies FastifySchema

export const patchReceiver = {
  tags,
  operationId: 'patchReceiver',
  summary: 'Change a receiver',
  description: 'A JSON merge patch (RFC 7396): null takes a member away.',
  params: byId,
  consumes: ['application/json', 'application/merge-patch+json'],
  body: ref('ReceiverPatch'),
  response: { 200: record, ...problems(404, 409, 413) },
} satisfies FastifySchema

export const deleteReceiver = {
  tags,
  operationId: 'deleteReceiver',
  summary: 'Delete a receiver',
  description: 'Only a disabled one, or any with `force=true`. Its id is not given out again.',
  params: byId,
  querystring: Type.Object({
    force: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')], { default: 'false' })),
  }),
  response: { 204: { description: 'Deleted.', type: 'null' }, ...problems(404, 409) },
} satisfies FastifySchema
