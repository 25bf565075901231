import { describe, expect, it } from 'vitest'
import { createSetVerifier, type TrustedIssuer, type Verification } from '../../../src/client/verify-set.ts'
import { AUDIENCE, forged, testIssuer } from './issuer.ts'
import { scriptedServer } from './scripted-server.ts'

const trusted = await testIssuer()
const other = await testIssuer('https://other.example')

function verifier(
  issuers: TrustedIssuer[] = [{ issuer: trusted.issuer, keys: { keys: [trusted.jwk] } }],
  algorithms: string[] = ['ES256', 'RS256', 'PS256', 'EdDSA'],
) {
  return createSetVerifier({ issuers, audience: [AUDIENCE, 'also-me'], algorithms, fetch })
}

async function verify(token: string, jti = 'j-1'): Promise<Verification> {
  const [verification] = await verifier().verify([[jti, token]])
  return verification as Verification
}

const refusedAs = (err: string) => expect.objectContaining({ kind: 'refused', err })

describe('a SET that may be acknowledged (RFC 8935 §2)', () => {
  it('is given with its claims, its header and the token as it came', async () => {
    const token = await trusted.token({ txn: 't-1' })
    expect(await verify(token)).toMatchObject({
      kind: 'valid',
      set: { jti: 'j-1', token, claims: { iss: trusted.issuer, txn: 't-1' }, header: { typ: 'secevent+jwt' } },
    })
  })

  it('may name one of several audiences, on both sides', async () => {
    for (const aud of [['x', AUDIENCE], 'also-me', ['also-me']]) {
      expect((await verify(await trusted.token({ aud }))).kind).toBe('valid')
    }
  })

  it('may write its type with the prefix application/ (RFC 7515 §4.1.9)', async () => {
    expect((await verify(await trusted.token({}, { typ: 'application/secevent+jwt' }))).kind).toBe('valid')
  })

  it.each(['RS256', 'PS256', 'EdDSA'])('may be signed with %s', async alg => {
    const issuer = await testIssuer(trusted.issuer, alg)
    const keys = { keys: [trusted.jwk, issuer.jwk] }
    const [verification] = await verifier([{ issuer: issuer.issuer, keys }]).verify([['j-1', await issuer.token()]])
    expect(verification?.kind).toBe('valid')
  })
})

describe('a SET that is reported, with a registered code (P-112, P-113)', () => {
  const header = { alg: 'ES256', typ: 'secevent+jwt', kid: trusted.jwk.kid }
  const claims = { iss: trusted.issuer, iat: 1, jti: 'j-1', aud: AUDIENCE, events: { 'urn:e': {} } }

  it.each(['', 'x', 'a.b', 'a.b.c', 'a.b.c.d', 'a.b.c.d.e', '..', 'e30.bnVsbA.c2ln'])(
    'is no token: %j → invalid_request',
    async token => {
      expect(await verify(token)).toEqual(refusedAs('invalid_request'))
    },
  )

  it('was changed after it was signed → authentication_failed', async () => {
    const [head, , signature] = (await trusted.token()).split('.')
    const body = Buffer.from(JSON.stringify({ ...claims, txn: 'other' })).toString('base64url')
    expect(await verify(`${head}.${body}.${signature}`)).toEqual(refusedAs('authentication_failed'))
  })

  it('is not signed, or with an algorithm that is not on the list → authentication_failed', async () => {
    for (const alg of ['none', 'HS256', 'ES384', 'RS512']) {
      expect(await verify(forged({ ...header, alg }, claims))).toEqual(refusedAs('authentication_failed'))
    }
  })

  it('is signed with a key that its issuer does not publish → invalid_key', async () => {
    expect(await verify(await trusted.token({}, { kid: 'another' }))).toEqual(refusedAs('invalid_key'))
  })

  it('comes from an issuer nobody trusts → invalid_issuer', async () => {
    expect(await verify(await other.token())).toEqual(refusedAs('invalid_issuer'))
  })

  it('names one issuer and is signed by another that is trusted too (P-181) → invalid_key', async () => {
    const both = verifier([
      { issuer: trusted.issuer, keys: { keys: [trusted.jwk] } },
      { issuer: other.issuer, keys: { keys: [other.jwk] } },
    ])
    const token = await trusted.token({ iss: other.issuer })
    expect(await both.verify([['j-1', token]])).toEqual([refusedAs('invalid_key')])
  })

  it('is for somebody else, or for nobody → invalid_audience', async () => {
    for (const aud of ['https://else.example', [], `${AUDIENCE}/`, undefined]) {
      expect(await verify(await trusted.token({ aud }))).toEqual(refusedAs('invalid_audience'))
    }
  })

  it('is another kind of token → invalid_request', async () => {
    for (const typ of ['JWT', 'at+jwt', undefined]) {
      expect(await verify(await trusted.token({}, { typ }))).toEqual(refusedAs('invalid_request'))
    }
  })

  it('is not the SET its name says → invalid_request', async () => {
    expect(await verify(await trusted.token(), 'J-1')).toEqual(refusedAs('invalid_request'))
  })

  it('lacks what a SET needs → invalid_request', async () => {
    const faulty = [
      { jti: undefined },
      { iat: undefined },
      { iat: 'now' },
      { events: undefined },
      { events: {} },
      { events: [] },
      { events: { 'urn:e': true } },
      { events: { 'urn:e': null } },
      { exp: 1 },
    ]
    for (const fault of faulty) expect(await verify(await trusted.token(fault))).toEqual(refusedAs('invalid_request'))
  })

  it('asks for an extension nobody knows → invalid_request', async () => {
    const token = forged({ ...header, crit: ['x'], x: 1 }, claims)
    expect(await verify(token)).toEqual(refusedAs('invalid_request'))
  })

  it('says nothing of what it holds in the description', async () => {
    const token = await trusted.token({ aud: 'secret-marker', sub: 'secret-marker' })
    expect(JSON.stringify(await verify(token))).not.toContain('secret-marker')
  })
})

describe('keys', () => {
  const remote = (url: string) => verifier([{ issuer: trusted.issuer, keys: new URL(`${url}/jwks.json`) }])

  it('are fetched once and kept', async () => {
    const server = await scriptedServer()
    server.keys = { keys: [trusted.jwk] }
    const subject = remote(server.url)
    const page = [['j-1', await trusted.token()]] as const
    await subject.prepare()
    for (let i = 0; i < 3; i++) expect((await subject.verify(page))[0]?.kind).toBe('valid')
    expect(server.keyRequests).toBe(1)
  })

  it('are fetched again, once a page, when a SET names a new one', async () => {
    const server = await scriptedServer()
    server.keys = { keys: [trusted.jwk] }
    const subject = remote(server.url)
    await subject.prepare()
    const next = await testIssuer(trusted.issuer)
    server.keys = { keys: [trusted.jwk, next.jwk] }
    const madeUp = await trusted.token({ jti: 'j-9' }, { kid: 'made-up' })
    const page: [string, string][] = [
      ['j-1', await trusted.token()],
      ['j-2', await next.token({ jti: 'j-2' })],
      ...Array.from({ length: 20 }, (): [string, string] => ['j-9', madeUp]),
    ]
    const verified = await subject.verify(page)
    expect(verified.slice(0, 2).map(({ kind }) => kind)).toEqual(['valid', 'valid'])
    expect(verified[2]).toEqual(refusedAs('invalid_key'))
    expect(server.keyRequests).toBe(2)
  })

  it('that cannot be had leave their SETs undecided, and others alone', async () => {
    const server = await scriptedServer()
    server.keys = 503
    const subject = verifier([
      { issuer: trusted.issuer, keys: new URL(server.url) },
      { issuer: other.issuer, keys: { keys: [other.jwk] } },
    ])
    await subject.prepare()
    const verified = await subject.verify([
      ['j-1', await trusted.token()],
      ['j-2', await other.token({ jti: 'j-2' })],
    ])
    expect(verified.map(({ kind }) => kind)).toEqual(['undecided', 'valid'])
    server.keys = { keys: [trusted.jwk] }
    expect((await subject.verify([['j-1', await trusted.token()]]))[0]?.kind).toBe('valid')
  })

  it('that cannot be had when a SET names a new one leave that SET undecided', async () => {
    const server = await scriptedServer()
    server.keys = { keys: [trusted.jwk] }
    const subject = remote(server.url)
    await subject.prepare()
    server.keys = 503
    const verified = await subject.verify([
      ['j-1', await trusted.token()],
      ['j-2', await trusted.token({ jti: 'j-2' }, { kid: 'new' })],
    ])
    expect(verified.map(({ kind }) => kind)).toEqual(['valid', 'undecided'])
  })

  it('of nobody at hand is said before a poll', async () => {
    const server = await scriptedServer()
    server.keys = 503
    await expect(remote(server.url).prepare()).rejects.toThrow('the keys of the issuer cannot be fetched')
  })

  it('too short for their algorithm verify nothing', async () => {
    const weak = await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
      true,
      ['sign', 'verify'],
    )
    const jwk = { ...(await crypto.subtle.exportKey('jwk', weak.publicKey)), kid: 'weak', alg: 'RS256', use: 'sig' }
    const { key_ops: _, ...usable } = jwk
    const input = forged(
      { alg: 'RS256', typ: 'secevent+jwt', kid: 'weak' },
      { iss: trusted.issuer, iat: 1, jti: 'j-1', aud: AUDIENCE, events: { 'urn:e': {} } },
      '',
    ).slice(0, -1)
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', weak.privateKey, Buffer.from(input))
    const token = `${input}.${Buffer.from(signature).toString('base64url')}`
    const subject = verifier([{ issuer: trusted.issuer, keys: { keys: [usable as never] } }])
    expect(await subject.verify([['j-1', token]])).toEqual([refusedAs('invalid_key')])
  })
})
