import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  buildClaims,
  deriveJti,
  deriveTxn,
  eventDigest,
  type SetClaims,
  tokenDigest,
} from '../../../src/protocol/set.ts'

const event = {
  events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': { event_timestamp: 1615304991 } },
}
const input = { issuer: 'https://tx.example', audience: 'https://rx.example', jti: 'e1', iatSeconds: 1700000000, event }

describe('claims', () => {
  it('hold what RFC 8417 requires and nothing that was not said, in a fixed order', () => {
    expect(JSON.stringify(buildClaims({ ...input, txn: undefined }))).toBe(
      '{"iss":"https://tx.example","iat":1700000000,"jti":"e1","aud":"https://rx.example","events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"event_timestamp":1615304991}}}',
    )
  })

  it('carry all that was said', () => {
    const said = { ...event, toe: 0, sub: '', sub_id: { format: 'opaque', id: 'x' } }
    const claims = buildClaims({ ...input, audience: ['a', 'b'], event: said, txn: 't' })
    expect(Object.keys(claims)).toEqual(['iss', 'iat', 'jti', 'aud', 'txn', 'toe', 'sub', 'sub_id', 'events'])
    expect(claims).toMatchObject({ aud: ['a', 'b'], toe: 0, sub: '', txn: 't', sub_id: said.sub_id })
  })

  it('never hold exp, nonce or what belongs to the call (P-166)', () => {
    const claims = buildClaims({ ...input, event: { ...event, id: 'x', receivers: ['r1'] } as typeof event, txn: 't' })
    expect(Object.keys(claims)).toEqual(['iss', 'iat', 'jti', 'aud', 'txn', 'events'])
  })
})

describe('a derived jti', () => {
  it('is the same for the same call, and has not changed since the first release', () => {
    expect(deriveJti('admin', 'id-1', 'r1')).toBe(deriveJti('admin', 'id-1', 'r1'))
    expect(deriveJti('admin', 'id-1', 'r1')).toBe('eTPOcMBkRVF2zjE4KB3_i9g')
    expect(deriveTxn('admin', 'id-1')).toBe('t898WabxdObtIdzqbn_Y8NA')
  })

  it('is URL-safe, 128 bits long, and cannot be taken for an integer or __proto__ (P-156)', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (producer, id, receiver) => {
        expect(deriveJti(producer, id, receiver)).toMatch(/^e[A-Za-z0-9_-]{22}$/)
        expect(deriveTxn(producer, id)).toMatch(/^t[A-Za-z0-9_-]{22}$/)
      }),
    )
  })

  it('differs when anything it is derived from differs, however the parts are cut', () => {
    const parts = fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(deriveJti(...a) === deriveJti(...b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
    )
    expect(deriveJti('a', 'bc', 'd')).not.toBe(deriveJti('ab', 'c', 'd'))
    expect(deriveJti('a","b', 'c', 'd')).not.toBe(deriveJti('a', 'b","c', 'd'))
    expect(deriveJti('a', 'b', 'r1')).not.toBe(deriveJti('a', 'b', 'r2'))
  })

  it('is the first 128 bits of a SHA-256', () => {
    for (let i = 0; i < 500; i++) {
      const sha256 = createHash('sha256')
        .update(JSON.stringify(['txn', 'p', String(i)]))
        .digest()
      expect(deriveTxn('p', String(i))).toBe(`t${sha256.subarray(0, 16).toString('base64url')}`)
    }
  })

  it('does not repeat over 100 000 ids (P-155)', () => {
    const jtis = new Set(Array.from({ length: 100_000 }, (_, i) => deriveJti('p', String(i), 'r1')))
    expect(jtis.size).toBe(100_000)
  })
})

describe('the digest of what a producer said', () => {
  const { iat: _, ...claims } = buildClaims({ ...input, txn: 't' })
  type Said = Omit<SetClaims, 'iat'>

  it('does not depend on the order of members, nor on the time of issuance', () => {
    const a: Said = { ...claims, events: { 'a:b': { x: 1, y: { p: 1, q: [1, 2] } } } }
    const b: Said = {
      events: { 'a:b': { y: { q: [1, 2], p: 1 }, x: 1 } },
      txn: 't',
      aud: claims.aud,
      jti: 'e1',
      iss: claims.iss,
    }
    expect(eventDigest(a)).toBe(eventDigest(b))
    expect(eventDigest({ ...a, iat: 5 } as Said)).toBe(eventDigest(a))
    expect(eventDigest(a)).toBe('bXEGiEOq8ZDPIG8zwZdWrA')
  })

  it('tells everything else apart', () => {
    const variants: Said[] = [
      claims,
      { ...claims, txn: 'u' },
      { ...claims, toe: 1 },
      { ...claims, sub: 'x' },
      { ...claims, sub_id: { format: 'opaque', id: 'x' } },
      { ...claims, aud: ['https://rx.example'] },
      { ...claims, events: { 'a:b': {} } },
      { ...claims, events: { 'a:b': { x: '1' } } },
      { ...claims, events: { 'a:b': { x: 1 } } },
      { ...claims, events: { 'a:b': { x: [1] } } },
      { ...claims, events: { 'a:b': { x: { 0: 1 } } } },
      { ...claims, events: { 'a:b': { x: null } } },
      { ...claims, events: { 'a:b': JSON.parse('{"__proto__":1}') } },
    ]
    expect(new Set(variants.map(eventDigest)).size).toBe(variants.length)
  })

  it('of a SET issued elsewhere is that of its bytes', () => {
    expect(tokenDigest('a.b.c')).toBe(tokenDigest('a.b.c'))
    expect(tokenDigest('a.b.c')).not.toBe(tokenDigest('a.b.d'))
  })
})
