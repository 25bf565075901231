/** The public keys that SETs verify with. RFC 7517 §5. */
import type { FastifyPluginAsync } from 'fastify'
import { jwks as described } from '../schemas/receiving.ts'

export const jwksRoute: FastifyPluginAsync<{ jwks(): Promise<string> }> = async (app, { jwks }) => {
  app.get('/.well-known/jwks.json', { schema: described }, async (_request, reply) => {
    const document = await jwks()
    // Short against the time a next key is published before it signs.
    return reply.header('cache-control', 'public, max-age=300').type('application/json').send(document)
  })
}
