/** One receiver's SETs as an operator sees them: where one is, lists by state, dead letters, replay, reports. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { DeadLetters } from '../../delivery/dead-letters.ts'
import { type SetLists, STATES } from '../../delivery/set-lists.ts'
import { TransmitterError } from '../../errors.ts'
import { schemaFaults } from '../../protocol/schema-faults.ts'
import { requireScope } from '../authenticate.ts'
import { AFTER_CURSOR, ENTRY_CURSOR, pagingOf } from '../paging.ts'
import {
  Choice,
  discardParked,
  listErrors,
  listParked,
  listSets,
  Range,
  replaySets,
  requeueParked,
  showSet,
} from '../schemas/sets.ts'

export interface SetRoutesOptions {
  readonly lists: SetLists
  readonly deadLetters: DeadLetters
}

export const setRoutes: FastifyPluginAsyncTypebox<SetRoutesOptions> = async (app, { lists, deadLetters }) => {
  app.get('/v1/receivers/:id/sets', { schema: listSets }, async request => {
    requireScope(request.caller, 'admin', 'read')
    const { state = 'queued' } = request.query
    if (!Object.hasOwn(STATES, state)) {
      const faults = [{ at: 'state', message: `is not one of ${Object.keys(STATES).join(', ')}` }]
      throw new TransmitterError('bad_request', 'The query is not valid.', { faults })
    }
    const { limit, cursor } = pagingOf(request.query, AFTER_CURSOR)
    return lists.sets(request.params.id, state as keyof typeof STATES, limit, cursor)
  })

  app.get('/v1/receivers/:id/sets/:jti', { schema: showSet }, async request => {
    requireScope(request.caller, 'admin', 'read')
    return lists.locate(request.params.id, request.params.jti)
  })

  app.get('/v1/receivers/:id/parked', { schema: listParked }, async request => {
    requireScope(request.caller, 'admin', 'read')
    const { limit, cursor } = pagingOf(request.query, AFTER_CURSOR)
    const { reason } = request.query
    if (reason !== undefined && typeof reason !== 'string') {
      throw new TransmitterError('bad_request', 'The query is not valid.', {
        faults: [{ at: 'reason', message: 'is given more than once' }],
      })
    }
    return lists.parked(request.params.id, limit, cursor, reason)
  })

  app.post('/v1/receivers/:id/parked/requeue', { schema: requeueParked }, async request => {
    requireScope(request.caller, 'admin')
    return moved(request, await deadLetters.requeue(request.params.id, choiceOf(request.body)))
  })

  app.delete('/v1/receivers/:id/parked', { schema: discardParked }, async request => {
    requireScope(request.caller, 'admin')
    return moved(request, await deadLetters.discard(request.params.id, choiceOf(request.body)))
  })

  app.post('/v1/receivers/:id/replay', { schema: replaySets }, async request => {
    requireScope(request.caller, 'admin')
    const faults = schemaFaults(Range, request.body)
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The range is not valid.', { faults })
    const { from, to } = request.body as { from: string | number; to?: string | number }
    const fromMs = toMs(from)
    const endMs = to === undefined ? undefined : toMs(to)
    if (fromMs === undefined) faults.push({ at: '/from', message: 'is not a time' })
    if (to !== undefined && endMs === undefined) faults.push({ at: '/to', message: 'is not a time' })
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The range is not valid.', { faults })
    return moved(request, await deadLetters.replay(request.params.id, fromMs as number, endMs))
  })

  app.get('/v1/receivers/:id/errors', { schema: listErrors }, async request => {
    requireScope(request.caller, 'admin', 'read')
    const { limit, cursor } = pagingOf(request.query, ENTRY_CURSOR)
    return lists.errors(request.params.id, limit, cursor)
  })
}

function moved<T extends { moved: number }>(request: FastifyRequest, answer: T): T {
  request.act = { note: `moved=${answer.moved}` }
  return answer
}

function choiceOf(body: unknown): { jtis: readonly string[] } | { all: true } {
  const faults = schemaFaults(Choice, body)
  if (faults.length > 0) throw new TransmitterError('bad_request', 'The choice is not valid.', { faults })
  return body as { jtis: string[] } | { all: true }
}

function toMs(moment: string | number): number | undefined {
  const ms = typeof moment === 'number' ? moment : Date.parse(moment)
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : undefined
}
