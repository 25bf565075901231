import { expect, it } from 'vitest'
import type { PublicKeyRecord } from '../../src/signing/key-ring.ts'
import { KeyStore } from '../../src/store/key-store.ts'
import { keysFor } from '../../src/store/keys.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { connect, testPrefix } from '../support/redis.ts'

const redis = connect()
const scripts = scriptsOn(redis)
const newStore = () => {
  const keys = keysFor(testPrefix())
  return { key: keys.keys, store: new KeyStore(redis, scripts, keys) }
}
const record = (kid: string, state: PublicKeyRecord['state'], createdAtMs = 1): PublicKeyRecord => ({
  kid,
  alg: 'ES256',
  state,
  jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' },
  createdAtMs,
})
const byKid = (records: readonly PublicKeyRecord[]) => records.toSorted((a, b) => (a.kid < b.kid ? -1 : 1))

it('holds the union of what every process published', async () => {
  const { store } = newStore()
  expect(await store.all()).toEqual([])
  expect(await store.publish([])).toBe(0)
  expect(await store.publish([record('a', 'current'), record('b', 'next')])).toBe(2)
  expect(await store.publish([record('c', 'current')])).toBe(1)
  expect(byKid(await store.all())).toEqual([record('a', 'current'), record('b', 'next'), record('c', 'current')])
})

it('moves a key forward and never back, whichever process speaks last', async () => {
  const { store } = newStore()
  await store.publish([record('a', 'next')])
  expect(await store.publish([record('a', 'current', 2)])).toBe(1)
  expect(await store.publish([record('a', 'next')])).toBe(0)
  expect(await store.all()).toEqual([record('a', 'current', 2)])
  await store.publish([record('a', 'retired', 3)])
  expect(await store.publish([record('a', 'current', 2)])).toBe(0)
  expect(await store.all()).toEqual([record('a', 'retired', 3)])
})

it('does not take back a retired key that has left', async () => {
  const { store } = newStore()
  await store.publish([record('a', 'current'), record('b', 'current')])
  await store.publish([record('a', 'retired')])
  await store.remove(['a'])
  await store.remove([])
  expect(await store.publish([record('a', 'retired'), record('b', 'current')])).toBe(0)
  expect(await store.all()).toEqual([record('b', 'current')])
})

it('keeps its records under one key, which the configuration names', async () => {
  const { key, store } = newStore()
  await store.publish([record('a', 'current')])
  expect(JSON.parse((await redis.hget(key, 'a')) ?? '')).toEqual(record('a', 'current'))
})
