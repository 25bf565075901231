import { expect, it } from 'vitest'
import type { PublicKeyRecord } from '../../../src/signing/key-record.ts'
import { keysThatMayLeave, RETIRED_GRACE_MS } from '../../../src/signing/retirement.ts'

const T = 1_700_000_000_000
const base = { alg: 'ES256', jwk: {}, createdAtMs: 0 } as const
const retired = (kid: string, retiredAtMs: number): PublicKeyRecord => ({ ...base, kid, state: 'retired', retiredAtMs })

it('a key stays as long as a SET from its time can be delivered (P-180)', () => {
  const keys = [retired('before', T - RETIRED_GRACE_MS - 1), retired('then', T - RETIRED_GRACE_MS)]
  expect(keysThatMayLeave(keys, T, T + 1e9)).toEqual(['before'])
  expect(keysThatMayLeave(keys, T + 1, T + 1e9)).toEqual(['before', 'then'])
})

it('a key stays for the grace even if nothing can be delivered', () => {
  expect(keysThatMayLeave([retired('k', T)], undefined, T + RETIRED_GRACE_MS)).toEqual([])
  expect(keysThatMayLeave([retired('k', T)], undefined, T + RETIRED_GRACE_MS + 1)).toEqual(['k'])
})

it('a clock that is behind keeps keys longer, never shorter', () => {
  expect(keysThatMayLeave([retired('k', T)], T + 1e9, T)).toEqual([])
})

it('a key that is not retired never leaves', () => {
  const keys: PublicKeyRecord[] = [
    { ...base, kid: 'next', state: 'next' },
    { ...base, kid: 'current', state: 'current', currentSinceMs: 1 },
    { ...base, kid: 'odd', state: 'retired' },
  ]
  expect(keysThatMayLeave(keys, T, T)).toEqual([])
})
