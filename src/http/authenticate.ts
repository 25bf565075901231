/**
 * Credentials: who asks, and with what scope (RFC 8936 §3). Decided before a body is read. In the steady state it needs no
 * look-up: the registry's caches follow the epoch.
 */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { TokenUse } from '../delivery/token-use.ts'
import { isTokenWellFormed } from '../delivery/tokens.ts'
import { TransmitterError } from '../errors.ts'
import { oauthClientName } from '../protocol/client-names.ts'
import type { AccessToken, AccessTokens } from '../signing/access-token.ts'
import type { Registry } from '../store/registry.ts'
import { type Scope, sha256Of, type TokenRecord } from '../store/token-store.ts'
import { bearerToken } from './auth/bearer.ts'
import { ADMIN, type Caller, OUR_SCOPE_NAMES, type ScopeNames } from './auth/caller.ts'
import type { ClientCertificate, ClientCertificates } from './auth/certificates.ts'
import type { Refusals } from './rate-limit.ts'

export { type Caller, requireScope } from './auth/caller.ts'

export interface AuthenticatorDependencies {
  readonly registry: Registry
  readonly adminToken: string | undefined
  readonly tokenUse: TokenUse
  readonly certificates: ClientCertificates
  readonly refusals: Refusals
  /** Absent where no OAuth issuer is trusted. */
  readonly oauth: OAuth | undefined
}

export interface OAuth {
  readonly tokens: AccessTokens
  /** For each of our scopes those of the issuer, any of which gives it. */
  readonly scopes: Readonly<Record<Scope | 'foreign', readonly string[]>>
}

const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/
/** Signatures that addresses over their limit may have checked, a second and process. */
const SPARE_CHECKS = 20

export class Authenticator {
  readonly #deps: AuthenticatorDependencies
  readonly #adminSha256: Buffer | undefined
  readonly #callers = new WeakMap<TokenRecord, { readonly caller: Caller; noteAtMs: number }>()
  readonly #oauthScopeNames: ScopeNames
  #spareChecks = { left: SPARE_CHECKS, second: 0 }

  constructor(deps: AuthenticatorDependencies) {
    this.#deps = deps
    this.#adminSha256 = deps.adminToken === undefined ? undefined : Buffer.from(sha256Of(deps.adminToken), 'hex')
    const nameOf = (scope: Scope) => deps.oauth?.scopes[scope][0] ?? scope
    this.#oauthScopeNames = {
      poll: nameOf('poll'),
      publish: nameOf('publish'),
      read: nameOf('read'),
      admin: nameOf('admin'),
    }
  }

  /**
   * By bearer token; at once where the token is known, which most are.
   * @throws {TransmitterError} unauthenticated, token_invalid, bad_request, *_unavailable, or rejects with it
   */
  identify(request: FastifyRequest): Caller | Promise<Caller> {
    const token = bearerToken(request)
    const sha256 = sha256Of(token)
    // A token that is known is none of the others: most requests end here.
    const known = this.#deps.registry.cachedToken(sha256)
    if (known) return this.#byRecord(sha256, known)
    if (this.#adminSha256 !== undefined && timingSafeEqual(Buffer.from(sha256, 'hex'), this.#adminSha256)) return ADMIN
    if (isTokenWellFormed(token)) return this.#byToken(sha256, request)
    if (this.#deps.oauth !== undefined && COMPACT_JWS.test(token)) return this.#byAccessToken(token, sha256, request)
    throw invalid()
  }

  /** The same by bearer token, or else by client certificate. */
  identifyReceiver(request: FastifyRequest): Caller | Promise<Caller> {
    if (request.headers.authorization === undefined) {
      const certificate = this.#deps.certificates.of(request)
      if (certificate !== undefined) return this.#byCertificate(certificate, request)
    }
    return this.identify(request)
  }

  async #byToken(sha256: string, request: FastifyRequest): Promise<Caller> {
    const { registry, refusals } = this.#deps
    // An address over its limit has nothing looked up that cannot be there.
    if (refusals.isOver(request) && !registry.mayBeToken(sha256)) throw invalid()
    const record = await registry.token(sha256)
    if (record === undefined) throw invalid()
    return this.#byRecord(sha256, record)
  }

  #byRecord(sha256: string, record: TokenRecord): Caller {
    const nowMs = Date.now()
    if (record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs) throw invalid()
    let known = this.#callers.get(record)
    if (known === undefined) {
      known = { caller: callerOf(record), noteAtMs: 0 }
      this.#callers.set(record, known)
    }
    if (nowMs >= known.noteAtMs) known.noteAtMs = this.#deps.tokenUse.note(sha256, record, nowMs)
    return known.caller
  }

  async #byAccessToken(token: string, sha256: string, request: FastifyRequest): Promise<Caller> {
    const { oauth, registry, refusals, certificates } = this.#deps
    const { tokens, scopes } = oauth as OAuth
    let access = tokens.checked(sha256)
    if (access === undefined) {
      if (refusals.isOver(request) && !this.#takeSpareCheck()) throw invalid()
      access = await tokens.verify(token, sha256)
    }
    if (access.expiresAtMs <= Date.now() || !isConfirmed(access, certificates.of(request))) throw invalid()
    const given = access.scopes
    const has = (scope: Scope | 'foreign') => scopes[scope].some(name => given.includes(name))
    const receivers = has('poll') ? await registry.receiversOfClient(oauthClientName(access.clientId)) : undefined
    return {
      name: `client:${access.clientId}`,
      scopes: (['poll', 'publish', 'read', 'admin'] as const).filter(has),
      polls: receiver => receivers?.has(receiver) ?? false,
      // No token of ours can name a producer with a colon, so none of them meets its ids.
      producer: has('publish') ? { name: `oauth:${access.clientId}` } : ADMIN.producer,
      foreign: has('admin') || (has('publish') && has('foreign')),
      scopeNames: this.#oauthScopeNames,
    }
  }

  async #byCertificate({ names, sha256 }: ClientCertificate, request: FastifyRequest): Promise<Caller> {
    const found = new Set<string>()
    for (const name of names) {
      for (const receiver of await this.#deps.registry.receiversOfClient(name)) found.add(receiver)
    }
    const [receiver] = found
    if (receiver === undefined || found.size > 1) {
      if (found.size > 1)
        request.log.warn({ receivers: [...found], sha256 }, 'a certificate stands for several receivers')
      throw new TransmitterError('unauthenticated', 'The certificate stands for no receiver.')
    }
    return {
      name: `certificate:${sha256}`,
      scopes: ['poll'],
      polls: id => id === receiver,
      producer: { name: '' },
      foreign: false,
      scopeNames: OUR_SCOPE_NAMES,
    }
  }

  #takeSpareCheck(): boolean {
    const second = Math.floor(performance.now() / 1000)
    if (this.#spareChecks.second !== second) this.#spareChecks = { left: SPARE_CHECKS, second }
    if (this.#spareChecks.left === 0) return false
    this.#spareChecks.left -= 1
    return true
  }
}

function callerOf({ tokenId, scope, receiver, producer, receivers, eventTypes, foreign }: TokenRecord): Caller {
  return {
    name: tokenId,
    scopes: [scope],
    polls: id => id === receiver,
    producer: scope === 'publish' ? { name: producer ?? '', receivers, eventTypes } : ADMIN.producer,
    foreign: scope === 'admin' || foreign === true,
    scopeNames: OUR_SCOPE_NAMES,
  }
}

/** RFC 8705 §3.1: a token that is bound to a certificate is worth nothing without it. */
function isConfirmed({ confirmation }: AccessToken, certificate: ClientCertificate | undefined): boolean {
  if (confirmation === undefined) return true
  return confirmation !== 'other' && confirmation.certSha256 === certificate?.sha256
}

function invalid(): TransmitterError {
  return new TransmitterError('token_invalid', 'The token is not valid.', { challenge: 'error="invalid_token"' })
}
