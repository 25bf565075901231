/** Opaque credentials: create, list, revoke. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TokenInput, Tokens } from '../../delivery/tokens.ts'
import type { TokenRecord } from '../../store/token-store.ts'
import { requireScope } from '../authenticate.ts'
import { pagingOf } from '../paging.ts'
import { createToken, listTokens, revokeToken } from '../schemas/tokens.ts'

export const tokenRoutes: FastifyPluginAsyncTypebox<{ tokens: Tokens }> = async (app, { tokens }) => {
  app.post('/v1/tokens', { schema: createToken }, async (request, reply) => {
    requireScope(request.caller, 'admin')
    const made = await tokens.create(request.body)
    request.act = { target: made.tokenId, note: describe(request.body as TokenInput) }
    return reply.code(201).send(made)
  })

  app.get('/v1/tokens', { schema: listTokens }, async request => {
    requireScope(request.caller, 'admin')
    const { limit, cursor } = pagingOf(request.query)
    const { items, next } = await tokens.list(limit, cursor)
    return { items: items.map(show), ...(next === undefined ? {} : { next }) }
  })

  app.delete('/v1/tokens/:tokenId', { schema: revokeToken }, async (request, reply) => {
    requireScope(request.caller, 'admin')
    await tokens.revoke(request.params.tokenId)
    return reply.code(204).send()
  })
}

/** What was let in, for the audit log. Each is of a closed form. */
function describe({ scope, receiver, producer, foreign, expiresInSeconds }: TokenInput): string {
  const parts = { scope, receiver, producer, foreign, expiresInSeconds }
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

function show({ createdAtMs, expiresAtMs, usedAtMs, ...token }: TokenRecord) {
  return {
    ...token,
    createdAt: new Date(createdAtMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(usedAtMs === undefined ? {} : { lastUsedAt: new Date(usedAtMs).toISOString() }),
  }
}
