/**
 * The queues of BullMQ as bull-board shows them: to administrators, who only look. Its pages are opened by address, where no
 * token can go along, so the console asks for a cookie first. It holds the token, only these pages are sent it, and nothing
 * here changes anything.
 */
import { createBullBoard } from '@bull-board/api'
import type { BaseAdapter } from '@bull-board/api/baseAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { TransmitterError } from '../../errors.ts'
import { type Authenticator, requireScope } from '../authenticate.ts'
import { policy, securePages } from '../pages.ts'

export interface QueueRoutesOptions {
  readonly authenticator: Authenticator
  /** Queues that are shown; each has to be read-only. */
  readonly boards: readonly BaseAdapter[]
}

const PATH = '/console/queues'
const COOKIE = 'setstream_queues'
const COOKIE_SECONDS = 3600
const hidden = { schema: { hide: true } }

/** bull-board asks for fonts of another site, which this forbids, and does with those that are there. */
const POLICY = policy({ 'img-src': "'self' data:", 'base-uri': "'self'" })

export const queueRoutes: FastifyPluginAsync<QueueRoutesOptions> = async (app, { authenticator, boards }) => {
  app.post(`${PATH}/session`, hidden, async (request, reply) => {
    requireScope(await authenticator.identify(request), 'admin')
    const token = request.headers.authorization?.replace(/^bearer +/i, '') ?? ''
    return reply
      .header('set-cookie', cookieOf(request, token, COOKIE_SECONDS))
      .code(204)
      .send()
  })

  app.delete(`${PATH}/session`, hidden, async (request, reply) =>
    reply
      .header('set-cookie', cookieOf(request, '', 0))
      .code(204)
      .send(),
  )

  const adapter = new FastifyAdapter()
  adapter.setBasePath(PATH)
  createBullBoard({
    queues: [...boards],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'setstream jobs', hideRedisDetails: true } },
  })
  app.register(async guarded => {
    securePages(guarded, POLICY)
    // Failures are answered here: bull-board has an error handler of its own, which knows none of our codes.
    guarded.addHook('onRequest', async (request, reply) => {
      try {
        requireScope(await authenticator.identify(withCookie(request)), 'admin')
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          throw new TransmitterError('forbidden', 'The queues are only looked at here.')
        }
      } catch (error) {
        if (isPage(request) && isUnknown(error)) return reply.redirect('/console/', 303)
        await app.errorHandler(error as Error, request, reply)
        return reply
      }
    })
    await guarded.register(adapter.registerPlugin(), { prefix: PATH })
  })
}

function withCookie(request: FastifyRequest): FastifyRequest {
  const { authorization, cookie = '' } = request.headers
  const [, value] = new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]+)`).exec(cookie) ?? []
  if (authorization === undefined && value !== undefined) {
    request.headers.authorization = `Bearer ${Buffer.from(value, 'base64url').toString('utf8')}`
  }
  return request
}

function cookieOf(request: FastifyRequest, token: string, seconds: number): string {
  const value = Buffer.from(token).toString('base64url')
  // Behind a proxy that ends TLS the browser still came over it.
  const isSecure = request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https'
  return `${COOKIE}=${value}; Path=${PATH}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
}

/** Somebody who opened the address, and not a script of the page. */
function isPage(request: FastifyRequest): boolean {
  return request.headers.accept?.includes('text/html') === true
}

function isUnknown(error: unknown): boolean {
  return error instanceof TransmitterError && (error.code === 'unauthenticated' || error.code === 'token_invalid')
}
