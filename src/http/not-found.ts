/** Paths nobody serves, and paths served by other methods, which Fastify takes for the same. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TransmitterError } from '../errors.ts'

/** To be called before the routes are registered. */
export function answerNotFound(app: FastifyInstance): void {
  const served = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  app.addHook('onRoute', route => {
    const entry = served.get(route.url) ?? { pattern: patternOf(route.url), methods: new Set() }
    for (const method of [route.method].flat()) entry.methods.add(method)
    served.set(route.url, entry)
  })
  app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const methods = [...served.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(entry => [...entry.methods])
    if (methods.length === 0) throw new TransmitterError('not_found', 'Nothing is served here.')
    reply.header('allow', methods.join(', '))
    throw new TransmitterError('method_not_allowed', 'The method is not supported here.')
  })
}

function patternOf(url: string): RegExp {
  const parts = url
    .split('/')
    .map(part => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
  return new RegExp(`^${parts.join('/')}$`)
}
