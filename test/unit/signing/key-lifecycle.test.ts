import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SetupError } from '../../../src/errors.ts'
import { JWKS_MAX_AGE_SECONDS } from '../../../src/signing/jwks.ts'
import {
  deleteRetiredKey,
  generateKey,
  listKeys,
  NEXT_PUBLISHED_MS,
  retireKey,
  rotateKey,
} from '../../../src/signing/key-lifecycle.ts'
import { openKeyRing } from '../../../src/signing/key-ring.ts'
import { keysDir, privateJwk, putKey, storedKeys } from './keys-dir.ts'

const T0 = 1_700_000_000_000
const ripe = T0 + NEXT_PUBLISHED_MS
const states = async (dir: string) => new Map((await listKeys(dir)).map(key => [key.kid, key.state]))

describe('generate', () => {
  it('makes the very first key current, and each later one next (P-180)', async () => {
    const dir = await keysDir()
    const first = await generateKey(dir, 'ES256', T0)
    const second = await generateKey(dir, 'ES256', T0)
    const other = await generateKey(dir, 'EdDSA', T0)
    expect(first).toMatchObject({ alg: 'ES256', state: 'current', createdAtMs: T0, currentSinceMs: T0 })
    expect([second, other].map(key => key.state)).toEqual(['next', 'next'])
    expect(second).not.toHaveProperty('currentSinceMs')
    for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
  })

  it('makes no second next key', async () => {
    const dir = await keysDir()
    await generateKey(dir, 'ES256', T0)
    await generateKey(dir, 'ES256', T0)
    await expect(generateKey(dir, 'ES256', T0)).rejects.toThrow(/already is a next key/)
    expect(await readdir(dir)).toHaveLength(2)
  })
})

describe('rotate', () => {
  it('signs with the next key, keeps the one before for what it signed, and no restart is needed', async () => {
    const dir = await keysDir()
    const first = await generateKey(dir, 'ES256', T0)
    const ring = await openKeyRing({ dir, alg: 'ES256', generate: false })
    const second = await generateKey(dir, 'ES256', T0)
    const { current, retired } = await rotateKey({ dir, alg: 'ES256', nowMs: ripe })
    expect(current).toMatchObject({ kid: second.kid, state: 'current', currentSinceMs: ripe, createdAtMs: T0 })
    expect(retired).toMatchObject({ kid: first.kid, state: 'retired', retiredAtMs: ripe, currentSinceMs: T0 })
    expect(await ring.reload()).toBe(true)
    expect(ring.signingKey().kid).toBe(second.kid)
    expect(
      ring
        .publicKeys()
        .map(key => key.state)
        .toSorted(),
    ).toEqual(['current', 'retired'])
  })

  it('waits until receivers can know the key, unless forced', async () => {
    const dir = await keysDir()
    await generateKey(dir, 'ES256', T0 - 1e9)
    const next = await generateKey(dir, 'ES256', T0)
    expect(NEXT_PUBLISHED_MS).toBeGreaterThan(JWKS_MAX_AGE_SECONDS * 1000)
    await expect(rotateKey({ dir, alg: 'ES256', nowMs: ripe - 1 })).rejects.toThrow(/rotate in 1 s, or force it/)
    expect((await states(dir)).get(next.kid)).toBe('next')
    const { current } = await rotateKey({ dir, alg: 'ES256', nowMs: T0, force: true })
    expect(current.kid).toBe(next.kid)
  })

  it('refuses when there is no next key', async () => {
    const dir = await keysDir()
    await generateKey(dir, 'ES256', T0)
    await generateKey(dir, 'EdDSA', T0)
    await expect(rotateKey({ dir, alg: 'ES256', nowMs: ripe })).rejects.toThrow(SetupError)
    await expect(rotateKey({ dir, alg: 'RS256', nowMs: ripe })).rejects.toThrow(/no next key for RS256/)
  })

  it('begins a new algorithm without touching the others', async () => {
    const dir = await keysDir()
    const es = await generateKey(dir, 'ES256', T0)
    const ed = await generateKey(dir, 'EdDSA', T0)
    const { retired } = await rotateKey({ dir, alg: 'EdDSA', nowMs: ripe })
    expect(retired).toBeUndefined()
    expect(await states(dir)).toEqual(
      new Map([
        [es.kid, 'current'],
        [ed.kid, 'current'],
      ]),
    )
  })

  it('heals a rotation that was cut off between its two files', async () => {
    const dir = await keysDir()
    await mkdir(dir, { mode: 0o700 })
    const before = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: T0 - 2 })
    const after = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: T0 - 1 })
    const next = await putKey(dir, privateJwk('ec'), { alg: 'ES256', state: 'next', createdAtMs: 1 })
    await rotateKey({ dir, alg: 'ES256', nowMs: T0 })
    const stored = new Map((await storedKeys(dir)).map(key => [key.kid, [key.state, key.retiredAtMs]]))
    expect(stored).toEqual(
      new Map([
        [before, ['retired', T0 - 1]],
        [after, ['retired', T0]],
        [next, ['current', undefined]],
      ]),
    )
  })
})

describe('retire and delete', () => {
  it('withdraw a next key', async () => {
    const dir = await keysDir()
    const current = await generateKey(dir, 'ES256', T0)
    const next = await generateKey(dir, 'ES256', T0)
    expect(await retireKey(dir, next.kid, T0 + 1)).toMatchObject({ state: 'retired', retiredAtMs: T0 + 1 })
    await deleteRetiredKey(dir, next.kid)
    expect(await states(dir)).toEqual(new Map([[current.kid, 'current']]))
  })

  it('leave nothing to sign with only when forced', async () => {
    const dir = await keysDir()
    const { kid } = await generateKey(dir, 'ES256', T0)
    await expect(retireKey(dir, kid, T0)).rejects.toThrow(/is the current key for ES256/)
    expect((await retireKey(dir, kid, T0, true)).state).toBe('retired')
  })

  it('can be repeated', async () => {
    const dir = await keysDir()
    const { kid } = await generateKey(dir, 'ES256', T0)
    await retireKey(dir, kid, T0, true)
    expect(await retireKey(dir, kid, T0 + 5)).toMatchObject({ retiredAtMs: T0 })
  })

  it('never bring an older key back', async () => {
    const dir = await keysDir()
    await mkdir(dir, { mode: 0o700 })
    const older = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: 1 })
    const newer = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: 2 })
    await retireKey(dir, newer, T0, true)
    expect(await states(dir)).toEqual(new Map([older, newer].toSorted().map(kid => [kid, 'retired'])))
  })

  it('refuse a key that still signs, or that is not there', async () => {
    const dir = await keysDir()
    const { kid } = await generateKey(dir, 'ES256', T0)
    await expect(deleteRetiredKey(dir, kid)).rejects.toThrow(/only a retired key/)
    await expect(deleteRetiredKey(dir, '../../etc/passwd')).rejects.toThrow(/no key of that kid/)
    await expect(retireKey(dir, 'x', T0)).rejects.toThrow(SetupError)
  })
})
