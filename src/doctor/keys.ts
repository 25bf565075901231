/** Can we sign, and can receivers verify what we signed? */
import { SetupError } from '../errors.ts'
import type { SigningAlg } from '../signing/algorithms.ts'
import type { PublicKeyRecord } from '../signing/key-record.ts'
import { openKeyRing } from '../signing/key-ring.ts'
import { type Finding, failure, ok, roughly, warning } from './finding.ts'

const ROTATE_AFTER_MS = 90 * 86_400_000

export interface KeyFacts {
  readonly dir: string
  readonly alg: SigningAlg
  /** Keys whose public part is in Redis. */
  readonly published: readonly PublicKeyRecord[]
  readonly nowMs: number
}

export async function keyFindings({ dir, alg, published, nowMs }: KeyFacts): Promise<Finding[]> {
  let ours: readonly PublicKeyRecord[]
  try {
    ours = (await openKeyRing({ dir, alg, generate: false })).publicKeys()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    return [
      failure(
        'keys: files',
        error.message,
        'Only the internal role and `setstream keys` need them: where neither runs, use --roles without internal.',
      ),
    ]
  }
  const findings: Finding[] = [ok('keys: files', `${ours.length} in ${dir}`)]
  for (const key of ours.filter(({ state }) => state === 'current')) {
    const ageMs = nowMs - (key.currentSinceMs ?? key.createdAtMs)
    const found = `${key.alg} ${key.kid} signs for ${roughly(ageMs)}`
    findings.push(
      ageMs > ROTATE_AFTER_MS
        ? warning('keys: current', found, 'Rotate it: docs/keys.md.')
        : ok('keys: current', found),
    )
  }
  const known = new Map(published.map(record => [record.kid, record]))
  const missing = ours.filter(({ kid }) => !known.has(kid))
  const behind = ours.filter(({ kid, state }) => known.has(kid) && known.get(kid)?.state !== state)
  if (missing.some(({ state }) => state !== 'retired')) {
    findings.push(
      failure(
        'keys: published',
        `not in Redis, so that receivers cannot verify with them: ${missing.map(({ kid }) => kid).join(', ')}`,
        'A process with the internal role publishes them when it starts, and within seconds of a change: start one, with this KEYS_DIR and REDIS_URL.',
      ),
    )
  } else if (behind.length > 0) {
    findings.push(
      warning(
        'keys: published',
        `Redis has another state of ${behind.map(({ kid }) => kid).join(', ')}`,
        'A process with the internal role follows within seconds: is one running, with this KEYS_DIR?',
      ),
    )
  } else {
    findings.push(ok('keys: published', `${published.length} in the key set`))
  }
  return findings
}
