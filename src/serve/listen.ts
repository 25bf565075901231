/** Where a listener listens, and whether it may do so without TLS. */
import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { SetupError } from '../errors.ts'

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

/** @returns the base URL. @throws {SetupError} when the address cannot be had. */
export async function listen(
  app: FastifyInstance,
  variable: string,
  address: ListenAddress,
  isTls: boolean,
): Promise<string> {
  try {
    await app.listen(address)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'needs more rights' : `cannot be had (${code})`
    throw new SetupError(
      `${variable} ${address.host}:${address.port} ${why}: choose another, or port 0 for any free one.`,
    )
  }
  const bound = app.server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${isTls ? 'https' : 'http'}://${host}:${port}`
}
