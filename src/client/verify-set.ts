/**
 * Decides whether a SET may be acknowledged: it parses, a trusted issuer signed it, it is meant for us (RFC 8935 §2),
 * and it is the SET its name says. What fails is told with a registered code (RFC 8935 §2.4).
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWSHeaderParameters,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { Events, SubjectIdentifier } from './event-types.ts'
import { reasonOf } from './http.ts'

export interface SetClaims {
  readonly iss: string
  readonly iat: number
  readonly jti: string
  readonly aud: string | readonly string[]
  readonly txn?: string
  readonly toe?: number
  readonly sub?: string
  readonly sub_id?: SubjectIdentifier
  readonly events: Events
  readonly [claim: string]: unknown
}

export interface ReceivedSet {
  readonly jti: string
  /** The compact JWS as it came. */
  readonly token: string
  readonly claims: SetClaims
  readonly header: JWSHeaderParameters
}

/** Codes of RFC 8935 §2.4 that verification can arrive at. */
export type SetErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'

export type Verification =
  | { readonly kind: 'valid'; readonly set: ReceivedSet }
  | { readonly kind: 'refused'; readonly err: SetErrorCode; readonly description: string }
  /** The keys of its issuer cannot be had now. This says nothing about the SET, so it may not be reported for it. */
  | { readonly kind: 'undecided'; readonly cause: unknown }

export interface TrustedIssuer {
  /** `iss`, compared character by character. */
  readonly issuer: string
  /** Where its public keys are, or the keys themselves. */
  readonly keys: URL | JSONWebKeySet
}

export interface VerifierOptions {
  readonly issuers: readonly TrustedIssuer[]
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly fetch: typeof globalThis.fetch
}

export interface SetVerifier {
  /** Fetches keys that are not there yet, or old. @throws when no issuer has any: nothing could be verified. */
  prepare(): Promise<void>
  /** Verifies a page. Each issuer's keys are fetched at most twice for it: when old, and when a SET names a new one. */
  verify(sets: readonly (readonly [jti: string, token: string])[]): Promise<Verification[]>
}

/** How long a copy of a key set counts: a key that its issuer withdrew is accepted no longer than this. */
const KEYS_AGE_MAX_MS = 600_000

export function createSetVerifier(options: VerifierOptions): SetVerifier {
  const keysOf = new Map(options.issuers.map(({ issuer, keys }) => [issuer, keySource(keys, options.fetch)]))

  async function verifyOne(jti: string, token: string, keys: KeySource): Promise<Verification | 'key_unknown'> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys.get, {
        algorithms: [...options.algorithms],
        audience: [...options.audience],
        typ: 'secevent+jwt',
        requiredClaims: ['iat', 'jti', 'events'],
      })
      const fault = claimsFault(jti, payload)
      if (fault !== undefined) return refuse('invalid_request', fault)
      return { kind: 'valid', set: { jti, token, claims: payload as unknown as SetClaims, header: protectedHeader } }
    } catch (error) {
      return error instanceof errors.JWKSNoMatchingKey ? 'key_unknown' : refusal(error)
    }
  }

  async function verifyFrom(
    keys: KeySource,
    sets: readonly (readonly [jti: string, token: string])[],
  ): Promise<Verification[]> {
    try {
      await keys.refresh()
    } catch (cause) {
      return sets.map(() => ({ kind: 'undecided', cause }))
    }
    const results = await Promise.all(sets.map(([jti, token]) => verifyOne(jti, token, keys)))
    if (!results.includes('key_unknown')) return results as Verification[]
    // The key may be newer than our copy. One look for all of them: a made-up kid must not cost a fetch a SET.
    const failure = await keys.reload().then(
      () => undefined,
      (cause: unknown): Verification => ({ kind: 'undecided', cause }),
    )
    return Promise.all(
      sets.map(async ([jti, token], i) => {
        const result = results[i] as Verification | 'key_unknown'
        if (result !== 'key_unknown') return result
        if (failure !== undefined) return failure
        const again = await verifyOne(jti, token, keys)
        if (again !== 'key_unknown') return again
        return refuse('invalid_key', 'signed with a key that is not among those of the issuer')
      }),
    )
  }

  return {
    async prepare() {
      const attempts = await Promise.allSettled([...keysOf.values()].map(keys => keys.refresh()))
      const [first] = attempts
      if (first?.status === 'rejected' && attempts.every(attempt => attempt.status === 'rejected')) throw first.reason
    },
    async verify(sets) {
      const results = new Map<string, Verification>()
      const groups = new Map<KeySource, (readonly [jti: string, token: string])[]>()
      for (const [jti, token] of sets) {
        const issuer = issuerOf(token)
        // The key must belong to the issuer that the SET names (RFC 8725 §3.8): it is looked for nowhere else.
        const keys = issuer === undefined ? undefined : keysOf.get(issuer)
        if (issuer === undefined) {
          results.set(jti, refuse('invalid_request', 'not a signed SET in compact form'))
        } else if (keys === undefined) {
          results.set(jti, refuse('invalid_issuer', 'this receiver does not trust the issuer'))
        } else {
          const group = groups.get(keys)
          if (group === undefined) groups.set(keys, [[jti, token]])
          else group.push([jti, token])
        }
      }
      await Promise.all(
        [...groups].map(async ([keys, group]) => {
          const verified = await verifyFrom(keys, group)
          for (const [i, [jti]] of group.entries()) results.set(jti, verified[i] as Verification)
        }),
      )
      return sets.map(([jti]) => results.get(jti) as Verification)
    },
  }
}

interface KeySource {
  /** Finds a key among those at hand; never fetches, so that what it throws is about the key. */
  readonly get: JWTVerifyGetKey
  /** Fetches unless the copy at hand is young enough. */
  readonly refresh: () => Promise<void>
  readonly reload: () => Promise<void>
}

function keySource(keys: URL | JSONWebKeySet, fetch: typeof globalThis.fetch): KeySource {
  if (!(keys instanceof URL)) {
    const nothing = async () => undefined
    return { get: createLocalJWKSet(keys), refresh: nothing, reload: nothing }
  }
  const remote = createRemoteJWKSet(keys, {
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    [customFetch]: (url, init) => fetch(url, init),
  })
  let loadedAtMs = Number.NEGATIVE_INFINITY
  const reload = async () => {
    try {
      await remote.reload()
    } catch (cause) {
      throw new Error(`the keys of the issuer cannot be fetched: ${reasonOf(cause)}`, { cause })
    }
    loadedAtMs = performance.now()
  }
  return {
    get: remote,
    reload,
    refresh: async () => {
      if (performance.now() - loadedAtMs > KEYS_AGE_MAX_MS) await reload()
    },
  }
}

/** Unverified: only to know whose keys to verify with. */
function issuerOf(token: string): string | undefined {
  try {
    const { iss } = decodeJwt(token)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

function claimsFault(jti: string, claims: Record<string, unknown>): string | undefined {
  if (claims.jti !== jti) return 'the claim jti differs from the name under which the SET was delivered'
  if (typeof claims.iat !== 'number') return 'the claim iat is not a number'
  const events = claims.events
  if (!isObject(events) || Object.keys(events).length === 0) return 'the claim events is not an object with an event'
  if (!Object.values(events).every(isObject)) return 'an event is not an object'
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refusal(error: unknown): Verification {
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return refuse('invalid_audience', 'this receiver is not in the audience')
    if (error.claim === 'typ') return refuse('invalid_request', 'the header typ is not secevent+jwt')
    return refuse('invalid_request', `the claim ${error.claim} is missing or not acceptable`)
  }
  if (error instanceof errors.JWTExpired) return refuse('invalid_request', 'the claim exp has passed')
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return refuse('authentication_failed', 'the signature does not verify')
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return refuse('authentication_failed', 'the signature algorithm is not one this receiver accepts')
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return refuse('invalid_key', 'the header does not say which of the keys of the issuer was used')
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return refuse('invalid_request', 'not a signed SET in compact form')
  }
  if (error instanceof errors.JOSENotSupported) {
    return refuse('invalid_request', 'the header asks for something this receiver does not know')
  }
  // What is left concerns the key: not importable, too short, of another kind than the algorithm.
  return refuse('invalid_key', 'the key of the issuer cannot be used for this signature')
}

function refuse(err: SetErrorCode, description: string): Verification {
  return { kind: 'refused', err, description }
}
