/** Publishing: one event, a batch of them, or a SET issued elsewhere. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { appendForeign, type ForeignDependencies } from '../../delivery/foreign.ts'
import type { Published, Publisher } from '../../delivery/publish.ts'
import { TransmitterError } from '../../errors.ts'
import { schemaFaults } from '../../protocol/schema-faults.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { answerWith } from '../answering.ts'
import { requireScope } from '../authenticate.ts'
import { problemOf } from '../error-handler.ts'
import { appendSet, Batch, publishBatch, publishEvent } from '../schemas/events.ts'

export interface EventRoutesOptions {
  readonly publisher: Publisher
  readonly foreign: ForeignDependencies
  readonly metrics: Metrics
}

export const eventRoutes: FastifyPluginAsyncTypebox<EventRoutesOptions> = async (
  app,
  { publisher, foreign, metrics },
) => {
  app.post('/v1/events', { schema: publishEvent }, (request, reply) => {
    const { producer } = requireScope(request.caller, 'publish', 'admin')
    const stop = metrics.publishSeconds.startTimer()
    const publishing = publisher.publishAll([request.body], producer, traceparentOf(request))
    const answer = ([outcome]: (Published | TransmitterError)[]) => {
      if (outcome instanceof TransmitterError) throw outcome
      reply.code(202).send(outcome)
    }
    answerWith(reply, publishing, answer, stop)
  })

  app.post('/v1/events/batch', { schema: publishBatch }, async (request, reply) => {
    const { producer } = requireScope(request.caller, 'publish', 'admin')
    const faults = schemaFaults(Batch, request.body)
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The batch is not valid.', { faults })
    const stop = metrics.publishSeconds.startTimer()
    const { items } = request.body as { items: unknown[] }
    const outcomes = await publisher.publishAll(items, producer, traceparentOf(request)).finally(stop)
    const results = outcomes.map(outcome =>
      outcome instanceof TransmitterError ? problemOf(outcome) : { status: 202, ...outcome },
    )
    return reply.send({ results })
  })

  app.post('/v1/receivers/:id/sets', { schema: appendSet }, async (request, reply) => {
    const {
      producer: { receivers },
      foreign: mayAppend,
    } = requireScope(request.caller, 'publish', 'admin')
    if (!mayAppend) {
      throw new TransmitterError('forbidden', 'This credential may not append SETs issued elsewhere.')
    }
    const { id } = request.params
    if (receivers !== undefined && !receivers.includes(id)) throw new TransmitterError('not_found', 'No such receiver.')
    if (typeof request.body !== 'string' || !isSecevent(request.headers['content-type'])) {
      throw new TransmitterError('media_type_unsupported', 'The body has to be application/secevent+jwt.')
    }
    return reply.code(202).send(await appendForeign(foreign, id, request.body))
  })
}

function traceparentOf(request: FastifyRequest): string | undefined {
  return request.headers.traceparent as string | undefined
}

function isSecevent(contentType: string | undefined): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/secevent+jwt'
}
