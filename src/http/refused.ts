/** Counts the requests that were refused, and why. What went well is counted where it happened. */
import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../telemetry/metrics.ts'
import { toFailure } from './error-handler.ts'

const POLL = '/receivers/:id/poll'

/** To be called before the routes are registered. */
export function countRefused(app: FastifyInstance, metrics: Metrics, listener: 'public' | 'internal'): void {
  app.addHook('onError', async (request, _reply, error) => {
    metrics.refused.inc({ listener, code: toFailure(error).code })
    if (request.routeOptions.url === POLL) metrics.polls.inc({ outcome: 'refused' })
  })
}
