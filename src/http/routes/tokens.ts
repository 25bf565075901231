/** Opaque credentials: create, list, revoke. */
import type { FastifyPluginAsync } from 'fastify'
import type { Tokens } from '../../delivery/tokens.ts'
import type { TokenRecord } from '../../store/token-store.ts'
import { requireScope } from '../authenticate.ts'
import { pagingOf } from '../paging.ts'

export const tokenRoutes: FastifyPluginAsync<{ tokens: Tokens }> = async (app, { tokens }) => {
  app.post('/v1/tokens', async (request, reply) => {
    requireScope(request.caller, 'admin')
    return reply.code(201).send(await tokens.create(request.body))
  })

  app.get('/v1/tokens', async request => {
    requireScope(request.caller, 'admin')
    const { limit, cursor } = pagingOf(request.query)
    const { items, next } = await tokens.list(limit, cursor)
    return { items: items.map(show), ...(next === undefined ? {} : { next }) }
  })

  app.delete<{ Params: { tokenId: string } }>('/v1/tokens/:tokenId', async (request, reply) => {
    requireScope(request.caller, 'admin')
    await tokens.revoke(request.params.tokenId)
    return reply.code(204).send()
  })
}

function show({ createdAtMs, expiresAtMs, usedAtMs, ...token }: TokenRecord) {
  return {
    ...token,
    createdAt: new Date(createdAtMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(usedAtMs === undefined ? {} : { lastUsedAt: new Date(usedAtMs).toISOString() }),
  }
}
