import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { SetupError } from '../../../src/errors.ts'
import { type KeyRing, openKeyRing, type SigningAlg } from '../../../src/signing/key-ring.ts'
import { keysDir, privateJwk, putKey } from './keys-dir.ts'

const open = (dir: string, alg: SigningAlg = 'ES256', generate = false): Promise<KeyRing> =>
  openKeyRing({ dir, alg, generate })

async function madeDir(): Promise<string> {
  const dir = await keysDir()
  await mkdir(dir, { mode: 0o700 })
  return dir
}

/** The one sentence with which the keys are refused. */
async function refusal(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(SetupError)
  const { message } = error as SetupError
  expect(message).toMatch(/\.$/)
  expect(message).not.toContain('\n')
  return message
}

describe('the first start', () => {
  it.each(['ES256', 'RS256', 'PS256', 'EdDSA'] as const)(
    'makes a current key for %s that only its owner can read',
    async alg => {
      const dir = await keysDir()
      const ring = await open(dir, alg, true)
      const [name] = await readdir(dir)
      const stored = JSON.parse(await readFile(join(dir, name!), 'utf8'))
      expect((await stat(dir)).mode & 0o777).toBe(0o700)
      expect((await stat(join(dir, name!))).mode & 0o777).toBe(0o600)
      expect(stored).toMatchObject({ alg, use: 'sig', state: 'current', kid: await calculateJwkThumbprint(stored) })
      expect(name).toBe(`${stored.kid}.json`)
      expect(ring.signingKey()).toMatchObject({ alg, kid: stored.kid })
      expect(ring.algorithms()).toEqual([alg])
    },
  )

  it('makes no second key at the second start', async () => {
    const dir = await keysDir()
    const first = await open(dir, 'ES256', true)
    const second = await open(dir, 'ES256', true)
    expect(second.signingKey().kid).toBe(first.signingKey().kid)
    expect(await readdir(dir)).toHaveLength(1)
  })

  it('adds a key when another algorithm is configured', async () => {
    const dir = await keysDir()
    await open(dir, 'ES256', true)
    const ring = await open(dir, 'EdDSA', true)
    expect(ring.signingKey().alg).toBe('EdDSA')
    expect(ring.signingKey('ES256').alg).toBe('ES256')
    expect(ring.algorithms().toSorted()).toEqual(['ES256', 'EdDSA'])
    expect(() => ring.signingKey('RS256')).toThrow(SetupError)
  })

  it('by two processes at once ends with one of the two keys as the one that signs, and both published', async () => {
    const dir = await keysDir()
    await Promise.all([open(dir, 'ES256', true), open(dir, 'ES256', true)])
    const [a, b] = await Promise.all([open(dir), open(dir)])
    expect(a.signingKey().kid).toBe(b.signingKey().kid)
    expect(a.publicKeys()).toHaveLength((await readdir(dir)).length)
  })

  it('is refused where keys are not made up', async () => {
    expect(await refusal(open(await keysDir()))).toMatch(
      /no current signing key for ES256: .*keys generate --alg ES256/,
    )
    expect(await refusal(open(await madeDir(), 'PS256'))).toMatch(/no current signing key for PS256/)
  })
})

describe('keys that an operator put there', () => {
  it.each([
    ['ec', 'ES256'],
    ['ed25519', 'EdDSA'],
    ['rsa2048', 'RS256'],
    ['rsa2048', 'PS256'],
  ] as const)('of type %s sign %s', async (type, alg) => {
    const dir = await madeDir()
    const kid = await putKey(dir, privateJwk(type), { alg })
    expect((await open(dir, alg)).signingKey()).toMatchObject({ kid, alg })
  })

  it('may have a kid of their own', async () => {
    const dir = await madeDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256', kid: '2026-01_a' })
    expect((await open(dir)).signingKey().kid).toBe('2026-01_a')
  })

  it.each<[string, JWK, Record<string, unknown>, RegExp]>([
    ['an RSA key of 1024 bits (P-175)', privateJwk('rsa1024'), { alg: 'RS256' }, /at least 2048 bits/],
    ['an RSA key of 1024 bits for PS256', privateJwk('rsa1024'), { alg: 'PS256' }, /at least 2048 bits/],
    ['a shared secret (P-177)', { kty: 'oct', k: 'c2VjcmV0' }, { alg: 'HS256', kid: 'k' }, /shared secret/],
    ['alg none (P-173)', privateJwk('ec'), { alg: 'none' }, /alg has to be one of ES256, RS256, PS256, EdDSA/],
    ['an algorithm that is not listed (P-174)', privateJwk('rsa2048'), { alg: 'RS512' }, /alg has to be one of/],
    ['no algorithm', privateJwk('ec'), {}, /alg has to be one of/],
    ['a curve of another algorithm', privateJwk('p384'), { alg: 'ES256' }, /P-256/],
    ['a type of another algorithm', privateJwk('ec'), { alg: 'RS256' }, /needs an RSA key/],
    ['an EC key for EdDSA', privateJwk('ec'), { alg: 'EdDSA' }, /Ed25519/],
    ['an encryption key', privateJwk('ec'), { alg: 'ES256', use: 'enc' }, /use has to be sig/],
    ['no state', privateJwk('ec'), { alg: 'ES256', state: undefined }, /state has to be one of/],
    ['a made-up state', privateJwk('ec'), { alg: 'ES256', state: 'active' }, /state has to be one of/],
    ['times that are none', privateJwk('ec'), { alg: 'ES256', currentSinceMs: 'now' }, /whole milliseconds/],
    ['a kid with other characters', privateJwk('ec'), { alg: 'ES256', kid: 'a.b' }, /kid has to be/],
    [
      'a public key only',
      { ...privateJwk('ec'), d: undefined } as unknown as JWK,
      { alg: 'ES256' },
      /not a private key/,
    ],
    ['members of two keys', { ...privateJwk('ec'), d: privateJwk('ec').d! }, { alg: 'ES256' }, /not one key/],
    [
      'members of two RSA keys',
      { ...privateJwk('rsa2048'), n: privateJwk('rsa2048').n! },
      { alg: 'RS256' },
      /not one key/,
    ],
    ['a damaged member', { ...privateJwk('ed25519'), x: 'AAAA' }, { alg: 'EdDSA' }, /damaged/],
  ])('are refused with one sentence: %s', async (_, jwk, members, sentence) => {
    const dir = await madeDir()
    await putKey(dir, jwk, members)
    const message = await refusal(open(dir))
    expect(message).toMatch(sentence)
    for (const secret of ['d', 'p', 'q', 'k'] as const) {
      if (typeof jwk[secret] === 'string') expect(message).not.toContain(jwk[secret])
    }
  })

  it.each(['', 'x', 'null', '[]', '"x"', '{"kty":'])('are refused when a file holds %j', async text => {
    const dir = await madeDir()
    await writeFile(join(dir, 'k.json'), text, { mode: 0o600 })
    expect(await refusal(open(dir))).toMatch(/^Key file k\.json: /)
  })

  it('are refused when a file is not named by its kid', async () => {
    const dir = await madeDir()
    const jwk = { ...privateJwk('ec'), alg: 'ES256', kid: 'a', use: 'sig', state: 'current' }
    await writeFile(join(dir, 'b.json'), JSON.stringify(jwk), { mode: 0o600 })
    expect(await refusal(open(dir))).toMatch(/name has to be its kid/)
  })

  it('are refused when one key serves two algorithms (P-176)', async () => {
    const dir = await madeDir()
    const jwk = privateJwk('rsa2048')
    await putKey(dir, jwk, { alg: 'RS256', kid: 'a' })
    await putKey(dir, jwk, { alg: 'PS256', kid: 'b' })
    expect(await refusal(open(dir, 'RS256'))).toMatch(/a\.json and b\.json hold the same key/)
  })

  it.each([0o640, 0o604, 0o644, 0o660, 0o620])('are refused when a file has mode %o', async mode => {
    const dir = await madeDir()
    const kid = await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    await chmod(join(dir, `${kid}.json`), mode)
    expect(await refusal(open(dir))).toMatch(/open to others: chmod 600/)
  })

  it('are refused when others can put files beside them', async () => {
    const dir = await madeDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    await chmod(dir, 0o777)
    expect(await refusal(open(dir))).toMatch(/can be written by others: chmod 700/)
  })

  it('are read, and other files are not', async () => {
    const dir = await madeDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    await writeFile(join(dir, '.half.json'), 'x')
    await writeFile(join(dir, 'README'), 'x')
    expect((await open(dir)).publicKeys()).toHaveLength(1)
  })
})

describe('a ring', () => {
  it('publishes public members only (P-179)', async () => {
    const dir = await madeDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    await putKey(dir, privateJwk('rsa2048'), { alg: 'RS256', state: 'next' })
    await putKey(dir, privateJwk('ed25519'), { alg: 'EdDSA', state: 'retired', retiredAtMs: 9 })
    const records = (await open(dir)).publicKeys()
    expect(records.map(record => record.state).toSorted()).toEqual(['current', 'next', 'retired'])
    for (const record of records) {
      expect(
        Object.keys(record).filter(name => !/^(kid|alg|state|jwk|createdAtMs|currentSinceMs|retiredAtMs)$/.test(name)),
      ).toEqual([])
      expect(Object.keys(record.jwk).filter(name => !/^(kty|crv|x|y|n|e|kid|alg|use)$/.test(name))).toEqual([])
      expect(record.jwk).toMatchObject({ kid: record.kid, alg: record.alg, use: 'sig' })
    }
    expect(records.find(record => record.alg === 'EdDSA')?.retiredAtMs).toBe(9)
  })

  it('signs with the newer of two current keys and counts the other as retired since then', async () => {
    const dir = await madeDir()
    const older = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: 5 })
    const newer = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: 7 })
    const ring = await open(dir)
    expect(ring.signingKey().kid).toBe(newer)
    expect(ring.publicKeys().find(key => key.kid === older)).toMatchObject({ state: 'retired', retiredAtMs: 7 })
    expect(ring.algorithms()).toEqual(['ES256'])
  })

  it('notices what changed when it is asked to, and only then', async () => {
    const dir = await madeDir()
    const first = await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    const ring = await open(dir)
    expect(await ring.reload()).toBe(false)
    const second = await putKey(dir, privateJwk('ec'), { alg: 'ES256', currentSinceMs: 2 })
    expect(ring.signingKey().kid).toBe(first)
    expect(await ring.reload()).toBe(true)
    expect(ring.signingKey().kid).toBe(second)
    expect(
      ring
        .publicKeys()
        .map(key => key.kid)
        .toSorted(),
    ).toEqual([first, second].toSorted())
    expect(await ring.reload()).toBe(false)
  })

  it('keeps the keys it has when the files cannot be used any more', async () => {
    const dir = await madeDir()
    const kid = await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    const ring = await open(dir)
    await writeFile(join(dir, 'bad.json'), 'x', { mode: 0o600 })
    await refusal(ring.reload())
    expect(ring.signingKey().kid).toBe(kid)
    await writeFile(join(dir, 'bad.json'), JSON.stringify({ state: 'x' }))
    await refusal(ring.reload())
    expect(ring.publicKeys()).toHaveLength(1)
  })
})
