/** The registry: create, list, show, patch and delete receivers. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Receivers } from '../../delivery/receivers.ts'
import { TransmitterError } from '../../errors.ts'
import type { Receiver } from '../../store/receiver-store.ts'
import { requireScope } from '../authenticate.ts'
import { pagingOf } from '../paging.ts'
import { createReceiver, deleteReceiver, listReceivers, patchReceiver, showReceiver } from '../schemas/receivers.ts'

export interface ReceiverRoutesOptions {
  readonly receivers: Receivers
  readonly publicUrl: () => string
}

export const receiverRoutes: FastifyPluginAsyncTypebox<ReceiverRoutesOptions> = async (
  app,
  { receivers, publicUrl },
) => {
  const show = ({ createdAtMs, updatedAtMs, ...receiver }: Receiver) => ({
    ...receiver,
    pollUrl: `${publicUrl().replace(/\/+$/, '')}/receivers/${receiver.id}/poll`,
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  })

  app.post('/v1/receivers', { schema: createReceiver }, async (request, reply) => {
    requireScope(request.caller, 'admin')
    const receiver = show(await receivers.create(request.body))
    request.act = { target: receiver.id }
    return reply.code(201).header('location', `/v1/receivers/${receiver.id}`).send(receiver)
  })

  app.get('/v1/receivers', { schema: listReceivers }, async request => {
    requireScope(request.caller, 'admin', 'read')
    const { limit, cursor } = pagingOf(request.query)
    const { items, next } = await receivers.list(limit, cursor)
    return { items: items.map(show), ...(next === undefined ? {} : { next }) }
  })

  app.get('/v1/receivers/:id', { schema: showReceiver }, async request => {
    requireScope(request.caller, 'admin', 'read')
    return show(await receivers.get(request.params.id))
  })

  app.patch('/v1/receivers/:id', { schema: patchReceiver }, async request => {
    requireScope(request.caller, 'admin')
    const receiver = show(await receivers.patch(request.params.id, request.body))
    request.act = { note: `${Object.keys(request.body as object).join(' ')}, status=${receiver.status}` }
    return receiver
  })

  app.delete('/v1/receivers/:id', { schema: deleteReceiver }, async (request, reply) => {
    requireScope(request.caller, 'admin')
    const { force } = request.query
    if (force !== undefined && force !== 'true' && force !== 'false') {
      throw new TransmitterError('bad_request', 'The query is not valid.', {
        faults: [{ at: 'force', message: 'is neither true nor false' }],
      })
    }
    await receivers.remove(request.params.id, force === 'true')
    return reply.code(204).send()
  })
}
