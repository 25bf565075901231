/**
 * The audit log, and the hook that writes it: every administrative act of an authenticated caller, done or refused, before
 * it is answered. Whoever has no credential does nothing here and cannot fill the log.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RECEIVER_ID } from '../../protocol/receiver.ts'
import type { AuditStore } from '../../store/audit-store.ts'
import { requireScope } from '../authenticate.ts'
import { ENTRY_CURSOR, pagingOf } from '../paging.ts'
import type { Proxies } from '../proxies.ts'
import { listActs } from '../schemas/operations.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What a route adds to the entry of its act. Never a secret, and nothing that a caller can write freely. */
    act: { readonly target?: string; readonly note?: string } | undefined
  }
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Publishing is the traffic, not an act of administration. */
const TRAFFIC = new Set(['/v1/events', '/v1/events/batch', '/v1/receivers/:id/sets'])

export function auditActs(app: FastifyInstance, audit: AuditStore, proxies: Proxies): void {
  app.decorateRequest('act', undefined)
  const record = async (request: FastifyRequest, reply: FastifyReply, who: string, what: string) => {
    const { id, tokenId } = request.params as { id?: string; tokenId?: string }
    const target = named(request.act?.target ?? id ?? tokenId ?? '')
    const from = proxies.clientAddress(request)
    const note = request.act?.note ?? ''
    const added = audit
      .add({ who, from, what, target, status: reply.statusCode, note })
      .catch(error => request.log.error({ err: error, what, target }, 'an act could not be audited'))
    // What failed on our side did so, most likely, for want of the store, which would be waited for a second time.
    if (reply.statusCode < 500) await added
  }
  app.addHook('onSend', (request, reply, payload, done) => {
    const { caller, method } = request
    const route = request.routeOptions.url
    if (caller === undefined || route === undefined || READS.has(method) || TRAFFIC.has(route)) {
      done(null, payload)
      return
    }
    // As a promise, behind which Fastify catches what cannot be sent. Only the traffic is spared one.
    return record(request, reply, caller.name, `${method} ${route}`).then(() => payload)
  })
}

/** A path may hold anything, such as a token pasted in place of its id. */
function named(target: string): string {
  return target === '' || RECEIVER_ID.test(target) ? target : '(not a name)'
}

export const auditRoute: FastifyPluginAsyncTypebox<{ audit: AuditStore }> = async (app, { audit }) => {
  app.get('/v1/audit', { schema: listActs }, async request => {
    requireScope(request.caller, 'admin')
    const { limit, cursor } = pagingOf(request.query, ENTRY_CURSOR)
    const items = await audit.list(limit, cursor)
    const last = items.at(-1)
    return items.length === limit && last !== undefined ? { items, next: last.id } : { items }
  })
}
