/** RFC 7517 §4 and §5, RFC 8725 §3, RFC 7518 §3: the keys that SETs are signed with, and what becomes of them. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, type JWK } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { KeyRetirement } from '../../src/delivery/key-retirement.ts'
import { SetupError } from '../../src/errors.ts'
import { openResources } from '../../src/resources.ts'
import { serve } from '../../src/serve.ts'
import { generateKey, rotateKey } from '../../src/signing/key-lifecycle.ts'
import { openKeyRing, SIGNING_ALGS } from '../../src/signing/key-ring.ts'
import { SetSigner } from '../../src/signing/sign-set.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { type Feed, openLab, type Place } from '../support/feed.ts'
import { redisUrl, testPrefix } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { type KeyType, privateJwk, putKey } from '../unit/signing/keys-dir.ts'

const directory = await mkdtemp(join(tmpdir(), 'setstream-keys-'))
afterAll(() => rm(directory, { recursive: true, force: true }))
const signer = new SetSigner({ onTrouble: cause => expect.unreachable(cause.message) })
afterAll(() => signer.close())
let made = 0
async function keysDir(): Promise<string> {
  const dir = join(directory, String(++made))
  await mkdir(dir, { mode: 0o700 })
  return dir
}

const HOUR = 3_600_000
const keySetOf = async ({ publicUrl }: Place): Promise<JWK[]> => {
  const response = await fetch(`${publicUrl}/.well-known/jwks.json`)
  expect(response.status).toBe(200)
  return ((await response.json()) as { keys: JWK[] }).keys
}
const kidsOf = async (place: Place) => (await keySetOf(place)).map(({ kid }) => kid)
const kidOf = (set: string | undefined) => decodeProtectedHeader(String(set)).kid

describe('the key set', () => {
  it('names every key that signed a SET, by kid, use and alg, and holds no private member (P-176, P-179)', async () => {
    const dir = await keysDir()
    for (const alg of SIGNING_ALGS) await rotatedIn(dir, alg)
    const lab = await openLab({ KEYS_DIR: dir })
    for (const alg of SIGNING_ALGS) {
      const feed = await lab.feed({ settings: { signingAlg: alg } })
      await feed.publish()
      const [set] = [...(await feed.pollNow()).sets.values()] as [string]
      const header = decodeProtectedHeader(set)
      expect(header.alg).toBe(alg)
      const keys = await keySetOf(lab.transmitter)
      const key = keys.find(({ kid }) => kid === header.kid) as JWK
      expect(key).toMatchObject({ alg, use: 'sig' })
      await compactVerify(set, createLocalJWKSet({ keys }), { algorithms: [alg] })
      for (const jwk of keys) {
        for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) expect(jwk).not.toHaveProperty(name)
      }
    }
  })

  it('may be kept for a short while, and is open to everybody (P-179)', async () => {
    const { transmitter } = await openLab()
    const { headers } = await fetch(`${transmitter.publicUrl}/.well-known/jwks.json`)
    expect(headers.get('cache-control')).toBe('public, max-age=300')
    expect(headers.get('content-type')).toMatch(/^application\/json/)
  })
})

describe('a rotation', () => {
  it('leaves owed SETs as they are and verifiable, publishes the next key before it signs, and needs no restart (P-180)', async () => {
    const dir = await keysDir()
    const first = (await generateKey(dir, 'ES256', Date.now())).kid
    const lab = await openLab({ KEYS_DIR: dir })
    const elsewhere = await lab.another({}, ['public'])
    const feed = await lab.feed({ settings: { redeliverAfterMs: HOUR } })
    await feed.publish('before')
    const before = await feed.pollNow()
    expect([...before.sets.values()].map(kidOf)).toEqual([first])

    const next = (await generateKey(dir, 'ES256', Date.now())).kid
    for (const place of [lab.transmitter, elsewhere]) {
      await until('the next key is published', async () => (await kidsOf(place)).includes(next), 10_000)
    }
    await feed.publish('meanwhile')
    expect([...(await feed.pollNow()).sets.values()].map(kidOf)).toEqual([first])

    await rotateKey({ dir, alg: 'ES256', nowMs: Date.now(), force: true })
    let count = 0
    await until(
      'the next key signs',
      async () => {
        await feed.publish(`after-${++count}`)
        return [...(await feed.pollNow()).sets.values()].map(kidOf).includes(next)
      },
      10_000,
    )
    await feed.age(HOUR)
    const again = await everything(feed)
    expect(again.get(before.jtis[0] as string)).toBe(before.sets.get(before.jtis[0] as string))
    for (const place of [lab.transmitter, elsewhere]) {
      const keySet = createLocalJWKSet({ keys: await keySetOf(place) })
      for (const set of again.values()) await compactVerify(set, keySet)
    }
  })

  it('takes the key before out of the set once nothing that it signed is owed or parked (P-180)', async () => {
    const dir = await keysDir()
    const first = (await generateKey(dir, 'ES256', Date.now())).kid
    const lab = await openLab({ KEYS_DIR: dir })
    const feed = await lab.feed()
    const [owed, parked] = [await feed.publish(), await feed.publish()]
    await feed.pollNow()
    await feed.report([parked])
    await generateKey(dir, 'ES256', Date.now())
    await rotateKey({ dir, alg: 'ES256', nowMs: Date.now(), force: true })

    const config = readConfig({ REDIS_URL: redisUrl(), KEY_PREFIX: lab.prefix })
    const logger = createLogger('silent')
    const resources = await openResources(config, logger)
    try {
      const { keyStore, registry, reader } = resources
      const retirement = new KeyRetirement({ keyStore, registry, reader, logger })
      const pass = () => retirement.pass(Date.now() + 30 * 24 * HOUR)
      await until(
        'the first key is retired',
        async () => (await keyStore.all()).some(({ kid, state }) => kid === first && state === 'retired'),
        10_000,
      )
      expect(await pass()).toEqual([])
      await feed.ack([owed])
      expect(await pass()).toEqual([])
      await feed.admin('DELETE', '/parked', { all: true })
      expect(await pass()).toEqual([first])
    } finally {
      await resources.close()
    }
    await until('it has left', async () => !(await kidsOf(lab.transmitter)).includes(first), 15_000)
  })
})

describe('signatures', () => {
  it('with ES256 never share a nonce (P-178)', async () => {
    const dir = await keysDir()
    const ring = await openKeyRing({ dir, alg: 'ES256', generate: true })
    const claims = { iss: 'a', jti: 'b', aud: 'c', events: { 'urn:d': {} } }
    // The first half of a signature follows from the nonce alone.
    const nonces = new Set<string>()
    for (let iat = 0; iat < 2000; iat++) {
      const signature = (await signer.sign(ring.signingKey(), JSON.stringify({ ...claims, iat }))).split(
        '.',
      )[2] as string
      nonces.add(Buffer.from(signature, 'base64url').toString('hex', 0, 32))
    }
    expect(nonces.size).toBe(2000)
  })
})

describe('a profile (INTEROP: RS256 of at least 2048 bits)', () => {
  it('is one setting away (P-175)', async () => {
    const dir = await keysDir()
    await generateKey(dir, 'RS256', Date.now())
    const lab = await openLab({ KEYS_DIR: dir, SIGNING_ALG: 'RS256' })
    const feed = await lab.feed()
    await feed.publish()
    const [set] = [...(await feed.pollNow()).sets.values()]
    expect(decodeProtectedHeader(String(set)).alg).toBe('RS256')
    const key = (await keySetOf(lab.transmitter)).find(({ alg }) => alg === 'RS256')
    expect(Buffer.from(String(key?.n), 'base64url').length * 8).toBeGreaterThanOrEqual(2048)
  })
})

describe('a start is refused', () => {
  const start = async (env: Record<string, string>) => {
    const listeners = { INTERNAL_LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0' }
    const common = { REDIS_URL: redisUrl(), KEY_PREFIX: testPrefix(), LOG_LEVEL: 'silent', ...listeners }
    const starting = (async () => serve(readConfig({ ...common, ...env }), ['internal']))()
    const outcome = await starting.then(
      async transmitter => transmitter.stop(),
      error => error,
    )
    expect(outcome).toBeInstanceOf(SetupError)
    return (outcome as SetupError).message
  }
  const withKey = async (type: KeyType, members: Record<string, unknown>) => {
    const dir = await keysDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256', kid: 'good' })
    await putKey(dir, privateJwk(type), { kid: 'bad', ...members })
    return start({ KEYS_DIR: dir })
  }

  it.each(['none', 'HS256', 'RS512', 'es256'])('for SIGNING_ALG=%s (P-173, P-174)', async alg => {
    expect(await start({ SIGNING_ALG: alg })).toMatch(/^SIGNING_ALG: not valid/)
  })

  it('for a key for alg none, or for an algorithm that is not listed (P-173, P-174)', async () => {
    expect(await withKey('ec', { alg: 'none' })).toMatch(/alg has to be one of/)
    expect(await withKey('rsa2048', { alg: 'RS512' })).toMatch(/alg has to be one of/)
  })

  it('for an RSA key of 1024 bits (P-175)', async () => {
    expect(await withKey('rsa1024', { alg: 'RS256' })).toMatch(/at least 2048 bits/)
  })

  it('for one key under two algorithms (P-176)', async () => {
    const dir = await keysDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256', kid: 'good' })
    const jwk = privateJwk('rsa2048')
    await putKey(dir, jwk, { alg: 'RS256', kid: 'one' })
    await putKey(dir, jwk, { alg: 'PS256', kid: 'two' })
    expect(await start({ KEYS_DIR: dir })).toMatch(/hold the same key/)
  })

  it('for a shared secret, however long (P-177)', async () => {
    for (const bytes of [16, 64]) {
      const k = Buffer.alloc(bytes, 1).toString('base64url')
      expect(await withKey('ec', { kty: 'oct', k, alg: 'HS256' })).toMatch(/shared secret/)
    }
  })

  it('without a key for the algorithm of the process (P-172)', async () => {
    const dir = await keysDir()
    await putKey(dir, privateJwk('ec'), { alg: 'ES256' })
    expect(await start({ KEYS_DIR: dir, SIGNING_ALG: 'EdDSA' })).toMatch(/no current signing key for EdDSA/)
  })
})

/** A current key for `alg`, beside whatever is there. */
async function rotatedIn(dir: string, alg: (typeof SIGNING_ALGS)[number]): Promise<void> {
  const { state } = await generateKey(dir, alg, Date.now())
  if (state === 'next') await rotateKey({ dir, alg, nowMs: Date.now(), force: true })
}

async function everything(feed: Feed): Promise<ReadonlyMap<string, string>> {
  const all = new Map<string, string>()
  for (let more = true; more; ) {
    const page = await feed.pollNow()
    for (const [jti, set] of page.sets) all.set(jti, set)
    more = page.moreAvailable
  }
  return all
}
