/** Where a listener listens, and whether it may do so without TLS. */
import type { Server } from 'node:https'
import { isIP } from 'node:net'
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

/** @returns the base URL. @throws {SetupError} when the address cannot be had. */
export async function listen(
  app: FastifyInstance,
  variable: string,
  address: ListenAddress,
  tls: Tls | undefined,
): Promise<string> {
  try {
    await app.listen(address)
    tls?.follow(app.server as Server)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (!/^E[A-Z]+$/.test(code ?? '')) throw error // Not of the system: a bug of ours.
    const why =
      code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'needs more rights' : `cannot be had (${code})`
    throw new SetupError(
      `${variable} ${address.host}:${address.port} ${why}: choose another, or port 0 for any free one.`,
    )
  }
  const bound = app.server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${tls === undefined ? 'http' : 'https'}://${host}:${port}`
}
