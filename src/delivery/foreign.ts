/** A SET issued elsewhere: checked, never changed, appended byte for byte (RFC 8935 §2, P-169). */
import { TransmitterError } from '../errors.ts'
import { parseForeignSet } from '../protocol/foreign-set.ts'
import { tokenDigest } from '../protocol/set.ts'
import type { ForeignIssuers } from '../signing/foreign-issuers.ts'
import type { PublicKeyRecord } from '../signing/key-ring.ts'
import { verifyOwnSet } from '../signing/verify-set.ts'
import type { Registry } from '../store/registry.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { Appends } from './appends.ts'
import type { LimitsOf } from './limits.ts'
import { tooLargeSet } from './publish.ts'

export interface ForeignDependencies {
  readonly appends: Appends
  readonly registry: Registry
  readonly limitsOf: LimitsOf
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  readonly issuer: string
  readonly setBytesMax: number
  publicKeys(): Promise<readonly PublicKeyRecord[]>
  readonly foreignIssuers: ForeignIssuers
}

export interface Appended {
  readonly jti: string
  readonly status: 'queued' | 'duplicate' | 'disabled'
}

/** @throws {TransmitterError} bad_request, not_found, conflict, too_large, backlog_full, store_unavailable */
export async function appendForeign(deps: ForeignDependencies, receiverId: string, token: string): Promise<Appended> {
  const startedAtMs = Date.now()
  const receiver = await deps.registry.receiver(receiverId)
  if (receiver === undefined) throw new TransmitterError('not_found', 'No such receiver.')
  if (token.length > deps.setBytesMax) throw tooLargeSet(deps.setBytesMax)
  const { jti, claims, ourIssuer } = parseForeignSet(token, { audience: receiver.audience, issuer: deps.issuer })
  if (ourIssuer && !(await verifyOwnSet(token, await deps.publicKeys()))) {
    throw new TransmitterError('bad_request', 'A SET of this issuer has to be signed by its key.', {
      faults: [{ at: '/iss', message: 'is this transmitter, whose keys did not sign the SET' }],
    })
  }
  if (!ourIssuer && !(await deps.foreignIssuers.isGenuine(token, String(claims.iss)))) {
    throw new TransmitterError('bad_request', 'The SET does not verify with the keys of its issuer.', {
      faults: [{ at: '/iss', message: 'is an issuer whose keys did not sign the SET' }],
    })
  }
  const set = { jti, set: token, digest: tokenDigest(token), repeatable: true }
  const [status] = await deps.appends.append(receiver.id, [set], deps.limitsOf(receiver))
  switch (status) {
    case 'queued':
      deps.metrics.published.inc()
      deps.tracing?.published([{ receiver: receiver.id, jti, txn: textOrNone(claims.txn) }], startedAtMs)
      return { jti, status }
    case 'duplicate':
    case 'disabled':
      return { jti, status }
    case 'conflict':
      throw new TransmitterError('conflict', 'Another SET has this jti.')
    case 'full':
      throw new TransmitterError('backlog_full', 'The receiver’s backlog is full. Repeat the call later.', {
        retryAfterSeconds: 5,
      })
    default:
      throw new TransmitterError('not_found', 'No such receiver.')
  }
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
