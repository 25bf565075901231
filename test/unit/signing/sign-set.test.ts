import { compactVerify, createLocalJWKSet, decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { ClaimsText } from '../../../src/protocol/set.ts'
import { jwksDocument } from '../../../src/signing/jwks.ts'
import { openKeyRing, SIGNING_ALGS, type SigningAlg } from '../../../src/signing/key-ring.ts'
import { SetSigner } from '../../../src/signing/sign-set.ts'
import { verifyOwnSet } from '../../../src/signing/verify-set.ts'
import { keysDir } from './keys-dir.ts'

const payload = new ClaimsText({
  issuer: 'https://tx.example',
  audience: 'https://rx.example',
  jti: 'e1',
  iatSeconds: 1700000000,
  event: { events: { 'urn:example:thing': { text: 'Größe 🔐 \u2028' } }, sub_id: { format: 'opaque', id: 'ünï' } },
  txn: 't',
  toeRoundMs: 0,
}).payload
const claims = JSON.parse(payload)
const signer = new SetSigner({ onTrouble: cause => expect.unreachable(cause.message) })
afterAll(() => signer.close())
const newRing = async (alg: SigningAlg) => openKeyRing({ dir: await keysDir(), alg, generate: true })

describe.each(SIGNING_ALGS)('a SET signed with %s', alg => {
  it('has a header of alg, typ and kid alone, and verifies with the published key set (P-167, P-172, P-182)', async () => {
    const ring = await newRing(alg)
    const token = await signer.sign(ring.signingKey(), payload)
    expect(decodeProtectedHeader(token)).toEqual({ alg, typ: 'secevent+jwt', kid: ring.signingKey().kid })
    expect(token).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/)
    const keySet = createLocalJWKSet(JSON.parse(jwksDocument(ring.publicKeys())))
    const verified = await compactVerify(token, keySet, { algorithms: [alg] })
    // Byte for byte the claims in their order, as UTF-8 (P-171).
    expect(Buffer.from(verified.payload).toString()).toBe(payload)
    expect(decodeJwt(token)).toEqual(claims)
  })

  it('is known as our own, and nothing else is', async () => {
    const [ours, other] = await Promise.all([newRing(alg), newRing(alg)])
    const token = await signer.sign(ours.signingKey(), payload)
    const [head, body, signature] = token.split('.')
    expect(await verifyOwnSet(token, [...other.publicKeys(), ...ours.publicKeys()])).toBe(true)
    expect(await verifyOwnSet(token, other.publicKeys())).toBe(false)
    expect(await verifyOwnSet(token, [])).toBe(false)
    // Their key under our kid.
    const impostor = { ...other.publicKeys()[0]!, kid: ours.signingKey().kid }
    expect(await verifyOwnSet(token, [impostor])).toBe(false)
    const changed = Buffer.from(JSON.stringify({ ...claims, jti: 'e2' })).toString('base64url')
    expect(await verifyOwnSet(`${head}.${changed}.${signature}`, ours.publicKeys())).toBe(false)
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: ours.signingKey().kid })).toString('base64url')
    for (const text of [`${none}.${body}.`, `${none}.${body}.${signature}`, '', 'x', '..', `${token}.x`]) {
      expect(await verifyOwnSet(text, ours.publicKeys())).toBe(false)
    }
  })
})

it('a key verifies nothing but its own algorithm (P-176)', async () => {
  const ring = await newRing('RS256')
  const [record] = ring.publicKeys()
  const secret = Buffer.from(JSON.stringify(record!.jwk))
  const header = { alg: 'HS256', typ: 'secevent+jwt', kid: record!.kid }
  const forged = await new SignJWT({ ...claims } as Record<string, unknown>).setProtectedHeader(header).sign(secret)
  expect(await verifyOwnSet(forged, ring.publicKeys())).toBe(false)
  const token = await signer.sign(ring.signingKey(), payload)
  expect(await verifyOwnSet(token, [{ ...record!, alg: 'PS256' }])).toBe(false)
})
