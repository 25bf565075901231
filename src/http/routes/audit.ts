/** The audit log, and the hook that writes it: every administrative act, before it is answered. */
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { AuditStore } from '../../store/audit-store.ts'
import { requireScope } from '../authenticate.ts'
import { pagingOf } from '../paging.ts'

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Publishing is the traffic, not an act of administration. */
const TRAFFIC = new Set(['/v1/events', '/v1/events/batch', '/v1/receivers/:id/sets'])

export function auditActs(app: FastifyInstance, audit: AuditStore): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const route = request.routeOptions.url
    if (request.caller === undefined || route === undefined || READS.has(request.method) || TRAFFIC.has(route))
      return payload
    const params = request.params as { id?: string; tokenId?: string }
    const made = reply.statusCode === 201 ? reply.getHeader('location') : undefined
    const target = params.id ?? params.tokenId ?? (typeof made === 'string' ? made.split('/').at(-1) : undefined) ?? ''
    await audit
      .add({ who: request.caller.name, what: `${request.method} ${route}`, target, status: reply.statusCode })
      .catch(error =>
        request.log.error({ err: error, what: `${request.method} ${route}`, target }, 'an act could not be audited'),
      )
    return payload
  })
}

export const auditRoute: FastifyPluginAsync<{ audit: AuditStore }> = async (app, { audit }) => {
  app.get('/v1/audit', async request => {
    requireScope(request.caller, 'admin')
    const { limit, cursor } = pagingOf(request.query)
    const items = await audit.list(limit, cursor)
    const last = items.at(-1)
    return items.length === limit && last !== undefined ? { items, next: last.id } : { items }
  })
}
