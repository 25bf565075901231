/**
 * Credentials: who asks, and with what scope (RFC 8936 §3, RFC 6750). Decided before a body is read. In the steady state
 * it needs no look-up: the registry's caches follow the epoch.
 */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { TransmitterError } from '../errors.ts'
import type { Registry } from '../store/registry.ts'
import { type Scope, sha256Of, type TokenRecord } from '../store/token-store.ts'

export interface Caller {
  /** For the audit log: the id of a token, or `admin-token` for the one from the environment. */
  readonly name: string
  readonly scope: Scope
  readonly token: Partial<TokenRecord>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `authenticate` before a route runs. */
    caller: Caller | undefined
  }
}

const BEARER = /^bearer(?: +(.*))?$/i

export class Authenticator {
  readonly #registry: Registry
  readonly #adminSha256: Buffer | undefined

  constructor(registry: Registry, adminToken: string | undefined) {
    this.#registry = registry
    this.#adminSha256 = adminToken === undefined ? undefined : Buffer.from(sha256Of(adminToken), 'hex')
  }

  /** @throws {TransmitterError} unauthenticated, token_invalid, bad_request, store_unavailable */
  async identify(request: FastifyRequest): Promise<Caller> {
    const header = request.headers.authorization
    const match = header === undefined ? null : BEARER.exec(header)
    const token = match?.[1]?.trim()
    if (token === undefined || token === '') {
      throw new TransmitterError('unauthenticated', 'A bearer token is needed.')
    }
    // RFC 6750 §2: a token in more than one place.
    if (hasQueryToken(request.url))
      throw new TransmitterError('bad_request', 'The token was sent in more than one way.')
    const sha256 = sha256Of(token)
    if (this.#adminSha256 !== undefined && timingSafeEqual(Buffer.from(sha256, 'hex'), this.#adminSha256)) {
      return { name: 'admin-token', scope: 'admin', token: {} }
    }
    const record = await this.#registry.token(sha256)
    if (record === undefined || (record.expiresAtMs !== undefined && record.expiresAtMs <= Date.now())) {
      throw new TransmitterError('token_invalid', 'The token is not valid.')
    }
    return { name: record.tokenId, scope: record.scope, token: record }
  }
}

/** @throws {TransmitterError} forbidden */
export function requireScope(caller: Caller | undefined, ...scopes: readonly Scope[]): Caller {
  if (caller === undefined || !scopes.includes(caller.scope)) {
    throw new TransmitterError('forbidden', 'The token does not have the scope for this.')
  }
  return caller
}

function hasQueryToken(url: string): boolean {
  const query = url.indexOf('?')
  return query >= 0 && new URLSearchParams(url.slice(query)).has('access_token')
}
