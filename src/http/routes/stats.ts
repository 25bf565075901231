/** What receivers hold, exact and now. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Stats } from '../../delivery/stats.ts'
import { requireScope } from '../authenticate.ts'
import { pagingOf } from '../paging.ts'
import { listStats, showStats } from '../schemas/operations.ts'

export const statsRoutes: FastifyPluginAsyncTypebox<{ stats: Stats }> = async (app, { stats }) => {
  app.get('/v1/receivers/:id/stats', { schema: showStats }, async request => {
    requireScope(request.caller, 'admin', 'read')
    return stats.of(request.params.id)
  })

  app.get('/v1/stats', { schema: listStats }, async request => {
    requireScope(request.caller, 'admin', 'read')
    const { limit, cursor } = pagingOf(request.query)
    const { items, totals, next } = await stats.page(limit, cursor)
    return { items, totals, ...(next === undefined ? {} : { next }) }
  })
}
