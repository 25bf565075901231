import { mkdir } from 'node:fs/promises'
import type { JWK } from 'jose'
import { expect, it } from 'vitest'
import { jwksDocument } from '../../../src/signing/jwks.ts'
import { openKeyRing, type PublicKeyRecord } from '../../../src/signing/key-ring.ts'
import { keysDir, privateJwk, putKey } from './keys-dir.ts'

it('publishes next, current and retired keys, each with kid, use and alg and no private member (P-179, P-180)', async () => {
  const dir = await keysDir()
  await mkdir(dir, { mode: 0o700 })
  await putKey(dir, privateJwk('ec'), { alg: 'ES256', kid: 'b' })
  await putKey(dir, privateJwk('rsa2048'), { alg: 'RS256', kid: 'a', state: 'retired' })
  await putKey(dir, privateJwk('ed25519'), { alg: 'EdDSA', kid: 'c', state: 'next' })
  const records = (await openKeyRing({ dir, alg: 'ES256', generate: false })).publicKeys()
  const { keys, ...rest } = JSON.parse(jwksDocument(records)) as { keys: JWK[] }
  expect(rest).toEqual({})
  expect(keys.map(({ kid, alg, use, kty }) => [kid, alg, use, kty])).toEqual([
    ['a', 'RS256', 'sig', 'RSA'],
    ['b', 'ES256', 'sig', 'EC'],
    ['c', 'EdDSA', 'sig', 'OKP'],
  ])
  expect(keys.map(key => Object.keys(key).toSorted())).toEqual([
    ['alg', 'e', 'kid', 'kty', 'n', 'use'],
    ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
    ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
  ])
  expect(jwksDocument(records.toReversed())).toBe(jwksDocument(records))
})

it('never lets a private member through, whatever a record holds', () => {
  const jwk = { ...privateJwk('rsa2048'), k: 'x', oth: [], key_ops: ['sign'], x5c: ['x'] } as unknown as JWK
  const record: PublicKeyRecord = { kid: 'k', alg: 'RS256', state: 'current', jwk, createdAtMs: 0 }
  expect(Object.keys(JSON.parse(jwksDocument([record])).keys[0])).toEqual(['kty', 'n', 'e', 'kid', 'alg', 'use'])
})

it('is an empty set when there are no keys', () => {
  expect(jwksDocument([])).toBe('{"keys":[]}')
})
