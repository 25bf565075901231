/**
 * JWT access tokens of one trusted issuer.
 * Source: RFC 9068 §4 (validation), RFC 8725 §3 (algorithms, types, untrusted header members), RFC 8705 §3.1 (cnf).
 */
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { TransmitterError } from '../errors.ts'
import { IssuerKeys, IssuerUnavailable } from './issuer-keys.ts'

export interface AccessToken {
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly expiresAtMs: number
  /** Who may use it besides holding it, as SHA-256 of a certificate in hex; `other` is a way we cannot check. */
  readonly confirmation: { readonly certSha256: string } | 'other' | undefined
}

export interface AccessTokensOptions {
  readonly issuer: string
  readonly audience: string
  readonly onTrouble: (error: unknown) => void
}

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
for (const size of [256, 384, 512]) ALGORITHMS.push(`RS${size}`, `PS${size}`)
/** How far the clocks of an issuer may be ahead of ours. Not applied to expiry. */
const AHEAD_SECONDS = 30
/** How long a signature stays checked: a key that the issuer withdraws counts no longer than this more. */
const CHECKED_MS = 60_000
const CHECKED_MAX = 10_000
const CLIENT_ID_LENGTH_MAX = 256

export class AccessTokens {
  readonly #options: AccessTokensOptions
  readonly #keys: IssuerKeys
  readonly #checked = new LRUCache<string, AccessToken>({ max: CHECKED_MAX, ttl: CHECKED_MS })

  constructor(options: AccessTokensOptions) {
    this.#options = options
    this.#keys = new IssuerKeys(options.issuer, options.onTrouble)
  }

  start(): void {
    this.#keys.start()
  }

  stop(): void {
    this.#keys.stop()
  }

  /** A token that was checked lately. Its expiry is for the caller to look at. */
  checked(sha256: string): AccessToken | undefined {
    return this.#checked.get(sha256)
  }

  /** @throws {TransmitterError} token_invalid, issuer_unavailable */
  async verify(token: string, sha256: string): Promise<AccessToken> {
    const { issuer, audience } = this.#options
    // What can be told without a key costs no signature and nothing at the issuer.
    if (!mayBeGood(token, issuer, audience)) throw invalid()
    try {
      const { payload } = await jwtVerify(token, this.#keys.keyFor, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        // RFC 8725 §3.12: a SET is typed secevent+jwt and so never taken for an access token.
        typ: 'at+jwt',
        clockTolerance: AHEAD_SECONDS,
        requiredClaims: ['exp', 'client_id'],
      })
      const expiresAtMs = Number(payload.exp) * 1000
      const clientId = payload.client_id
      if (typeof clientId !== 'string' || clientId === '' || clientId.length > CLIENT_ID_LENGTH_MAX) throw invalid()
      if (expiresAtMs <= Date.now()) throw invalid()
      const accessToken: AccessToken = {
        clientId,
        scopes: typeof payload.scope === 'string' ? payload.scope.split(' ') : [],
        expiresAtMs,
        confirmation: confirmationOf(payload.cnf),
      }
      this.#checked.set(sha256, accessToken)
      return accessToken
    } catch (error) {
      if (error instanceof errors.JOSEError) throw invalid()
      if (error instanceof IssuerUnavailable) {
        throw new TransmitterError('issuer_unavailable', 'The token cannot be checked now.', {
          retryAfterSeconds: 5,
          cause: error,
        })
      }
      throw error
    }
  }
}

function mayBeGood(token: string, issuer: string, audience: string): boolean {
  try {
    const { typ, alg } = decodeProtectedHeader(token)
    if (typeof typ !== 'string' || !/^(application\/)?at\+jwt$/i.test(typ)) return false
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) return false
    const { iss, aud, exp } = decodeJwt(token)
    return iss === issuer && [aud].flat().includes(audience) && typeof exp === 'number' && exp * 1000 > Date.now()
  } catch {
    return false
  }
}

function confirmationOf(cnf: unknown): AccessToken['confirmation'] {
  if (cnf === undefined) return undefined
  const thumbprint = typeof cnf === 'object' && cnf !== null ? (cnf as Record<string, unknown>)['x5t#S256'] : undefined
  if (typeof thumbprint !== 'string' || Object.keys(cnf as object).length !== 1) return 'other'
  return { certSha256: Buffer.from(thumbprint, 'base64url').toString('hex') }
}

function invalid(): TransmitterError {
  return new TransmitterError('token_invalid', 'The token is not valid.')
}
