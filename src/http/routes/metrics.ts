/** What Prometheus scrapes. */
import type { FastifyPluginAsync } from 'fastify'
import type { Metrics } from '../../telemetry/metrics.ts'

export const metricsRoute: FastifyPluginAsync<{ metrics: Metrics }> = async (app, { metrics }) => {
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.registry.metrics()
    return reply.type(metrics.registry.contentType).send(text)
  })
}
