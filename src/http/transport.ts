/**
 * Keeps what is confidential off plain HTTP (RFC 8936 §4.3). Nothing is redirected: the credentials of a request that
 * came in the clear are exposed already (P-128, P-150).
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TransmitterError } from '../errors.ts'
import type { Proxies } from './proxies.ts'

export interface Transport {
  readonly proxies: Proxies
  /** The listener takes plain HTTP off loopback, because a proxy in front of it ends TLS. */
  readonly isBehindProxy: boolean
}

export function requireSecureTransport(app: FastifyInstance, transport: Transport): void {
  if (!transport.isBehindProxy && !transport.proxies.isConfigured) return
  app.addHook('onRequest', (request, _reply, done) => {
    if (isSecure(request, transport)) return done()
    done(new TransmitterError('insecure_transport', 'Only requests that came over TLS are answered.'))
  })
}

function isSecure(request: FastifyRequest, { proxies, isBehindProxy }: Transport): boolean {
  const forwarded = request.headers['x-forwarded-proto']
  const saysPlain = forwarded !== undefined && !saysHttps(forwarded)
  // A proxy that we trust knows how the client came, whatever it speaks with us.
  if (proxies.isBehind(request)) return forwarded === undefined ? !isBehindProxy : !saysPlain
  if (!isBehindProxy) return true
  // Whose word counts was said: anybody else came past the proxy. Otherwise only an admission of plain HTTP is believed.
  return !proxies.isConfigured && !saysPlain
}

function saysHttps(header: string | string[]): boolean {
  return String(header)
    .split(',')
    .every(hop => hop.trim().toLowerCase() === 'https')
}
