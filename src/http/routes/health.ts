/** Is the process alive, and should a balancer send it requests? */
import type { FastifyPluginAsync } from 'fastify'
import { livez, readyz } from '../schemas/operations.ts'

export interface Readiness {
  /** Redis was reached once and the process is not draining. An outage is answered with 503, not by leaving the balancer. */
  isReady(): boolean
}

export const healthRoutes: FastifyPluginAsync<{ readiness: Readiness }> = async (app, { readiness }) => {
  app.get('/livez', { schema: livez }, async () => ({ status: 'alive' }))
  app.get('/readyz', { schema: readyz }, async (_request, reply) => {
    if (readiness.isReady()) return { status: 'ready' }
    return reply.code(503).header('retry-after', '1').send({ status: 'not ready' })
  })
}
