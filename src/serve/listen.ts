/** Where a listener listens, and whether it may do so without TLS. */
import { promises as dns } from 'node:dns'
import type { Server } from 'node:https'
import { type AddressInfo, isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { SetupError } from '../errors.ts'
import type { Tls } from './tls.ts'

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export function parseListen(text: string): ListenAddress {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** @throws {SetupError} for a listener that would be reached in the clear from other machines, unless that was asked for. */
export function requireTlsOffLoopback(config: Config, roles: { isPublic: boolean; isInternal: boolean }): void {
  const isOpen = (listen: string) => !isLoopback(parseListen(listen).host)
  if (roles.isPublic && config.TLS_CERT_FILE === undefined && config.ALLOW_PLAIN_HTTP === undefined) {
    if (isOpen(config.PUBLIC_LISTEN)) {
      throw new SetupError(
        'PUBLIC_LISTEN is off loopback without TLS: set TLS_CERT_FILE and TLS_KEY_FILE, or ALLOW_PLAIN_HTTP=behind-proxy.',
      )
    }
  }
  if (
    roles.isInternal &&
    config.INTERNAL_TLS_CERT_FILE === undefined &&
    config.ALLOW_PLAIN_HTTP_INTERNAL === undefined
  ) {
    if (isOpen(config.INTERNAL_LISTEN)) {
      throw new SetupError(
        'INTERNAL_LISTEN is off loopback without TLS: set INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE, or ALLOW_PLAIN_HTTP_INTERNAL=yes.',
      )
    }
  }
}

/** Whether TLS of the public listener ends at a proxy in front of it. */
export function isBehindProxy(config: Config): boolean {
  return config.ALLOW_PLAIN_HTTP !== undefined && config.TLS_CERT_FILE === undefined
}

/**
 * Listens with one application for each address of the host: `localhost` often has two. Left to Fastify, all but the first
 * would be servers that nobody else can reach, without our limits and with the certificates of the start for good.
 *
 * @param build makes an application; what is made is added to `apps` before it listens.
 * @returns the base URL. @throws {SetupError} when an address cannot be had.
 */
export async function listen(
  build: () => FastifyInstance,
  apps: FastifyInstance[],
  variable: string,
  { host, port }: ListenAddress,
  tls: Tls | undefined,
): Promise<string> {
  let bound = port
  let count = 0
  const addresses = await addressesOf(host)
  for (const [i, address] of addresses.entries()) {
    const app = build()
    apps.push(app)
    try {
      await app.listen({ host: address, port: bound })
    } catch (error) {
      // Where IPv6 is switched off, `localhost` has an address of it all the same.
      const isMissing = NO_SUCH_ADDRESS.has((error as NodeJS.ErrnoException).code ?? '')
      if (isMissing && (count > 0 || i < addresses.length - 1)) continue
      throw inWords(error, `${variable} ${address}:${bound}`)
    }
    count += 1
    tls?.follow(app.server as Server)
    bound = (app.server.address() as AddressInfo).port
  }
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${bound}`
}

const NO_SUCH_ADDRESS: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT'])

async function addressesOf(host: string): Promise<string[]> {
  if (host !== 'localhost') return [host]
  const found = await dns.lookup(host, { all: true }).catch(() => [])
  const addresses = [...new Set(found.map(({ address }) => address))].filter(isLoopback)
  return addresses.length === 0 ? ['127.0.0.1'] : addresses
}

function inWords(error: unknown, what: string): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (!/^E[A-Z]+$/.test(code ?? '')) return error // Not of the system: a bug of ours.
  const why = code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'needs more rights' : `cannot be had (${code})`
  return new SetupError(`${what} ${why}: choose another, or port 0 for any free one.`)
}
