import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClaimsInput, ClaimsText, deriveJti, deriveTxn, tokenDigest } from '../../../src/protocol/set.ts'

const event = {
  events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': { event_timestamp: 1615304991 } },
}
const input: ClaimsInput = {
  issuer: 'https://tx.example',
  audience: 'https://rx.example',
  jti: 'e1',
  iatSeconds: 1700000000,
  event,
  txn: undefined,
  toeRoundMs: 0,
}
const claimsOf = (given: Partial<ClaimsInput>) => JSON.parse(new ClaimsText({ ...input, ...given }).payload)

describe('claims', () => {
  it('hold what RFC 8417 requires and nothing that was not said, in a fixed order', () => {
    expect(new ClaimsText(input).payload).toBe(
      '{"aud":"https://rx.example","events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"event_timestamp":1615304991}},"iat":1700000000,"iss":"https://tx.example","jti":"e1"}',
    )
  })

  it('carry all that was said', () => {
    const said = { ...event, toe: 0, sub: '', sub_id: { format: 'opaque', id: 'x' } }
    expect(claimsOf({ audience: ['a', 'b'], event: said, txn: 't' })).toEqual({
      ...said,
      iss: 'https://tx.example',
      aud: ['a', 'b'],
      jti: 'e1',
      iat: 1700000000,
      txn: 't',
    })
  })

  it('are those that were given, whatever they are', () => {
    const json = fc.jsonValue() as fc.Arbitrary<never>
    const record = fc.dictionary(fc.string(), json)
    fc.assert(
      fc.property(record, record, fc.string(), fc.string(), (data, sub_id, sub, txn) => {
        const said = { events: { '","iat":1,"': data }, sub_id, sub }
        const { iss, jti, aud, iat, ...rest } = claimsOf({ issuer: sub, event: said, txn })
        expect({ iss, jti, aud, iat }).toEqual({ iss: sub, jti: 'e1', aud: 'https://rx.example', iat: 1700000000 })
        expect(rest).toEqual(JSON.parse(JSON.stringify({ ...said, txn })))
      }),
    )
  })

  it('never hold exp, nonce or what belongs to the call (P-166)', () => {
    const claims = claimsOf({ event: { ...event, id: 'x', receivers: ['r1'] } as typeof event, txn: 't' })
    expect(Object.keys(claims).sort()).toEqual(['aud', 'events', 'iat', 'iss', 'jti', 'txn'])
  })

  it('tell the time of an event as roughly as is asked', () => {
    const toeOf = (toe: number, toeRoundMs: number) => claimsOf({ event: { ...event, toe }, toeRoundMs }).toe
    expect(toeOf(1615304991.25, 0)).toBe(1615304991.25)
    expect(toeOf(1615304991.25, 1000)).toBe(1615304991)
    expect(toeOf(1615304991.25, 60_000)).toBe(1615304940)
    expect(toeOf(1615304940, 60_000)).toBe(1615304940)
    expect(toeOf(0, 60_000)).toBe(0)
    expect(toeOf(1e306, 60_000)).toBe(1e306)
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
  const digestOf = (given: Partial<ClaimsInput>) => new ClaimsText({ ...input, ...given }).digest()

  it('does not depend on the order of members, nor on the time of issuance', () => {
    const said = (y: Record<string, unknown>) => ({ events: { 'a:b': y }, sub_id: { format: 'opaque', id: 'x' } })
    const ordered = digestOf({ txn: 't', event: said({ x: 1, y: { p: 1, q: [1, 2] } }) })
    expect(digestOf({ txn: 't', event: said({ y: { q: [1, 2], p: 1 }, x: 1 }) })).toBe(ordered)
    const turned = { sub_id: { id: 'x', format: 'opaque' }, events: { 'a:b': { y: { q: [1, 2], p: 1 }, x: 1 } } }
    expect(digestOf({ txn: 't', event: turned, iatSeconds: 5 })).toBe(ordered)
    const subjectTurned = { ...said({ x: 1, y: { p: 1, q: [1, 2] } }), sub_id: turned.sub_id }
    expect(digestOf({ txn: 't', event: subjectTurned })).toBe(ordered)
  })

  it('has not changed since the first release: processes of two versions run side by side', () => {
    const event = { events: { 'a:b': { x: 1, y: { p: 1, q: [1, 2] } } } }
    expect(digestOf({ txn: 't', event })).toBe('bXEGiEOq8ZDPIG8zwZdWrA')
  })

  it('is the same for equal events, and another for others', () => {
    const data = fc.dictionary(fc.string(), fc.jsonValue())
    const turned = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(turned)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .map(([name, member]) => [name, turned(member)])
          .reverse(),
      )
    }
    fc.assert(
      fc.property(data, data, (one, other) => {
        const digest = (x: unknown) => digestOf({ event: { events: { 'a:b': x as Record<string, unknown> } } })
        const same = JSON.parse(JSON.stringify(one))
        expect(digest(turned(same))).toBe(digest(same))
        expect(digest(one) === digest(other)).toBe(isDeepStrictEqual(same, JSON.parse(JSON.stringify(other))))
      }),
    )
  })

  it('is of the time that was stated, and not of what a receiver is told of it', () => {
    const toe = (toe: number, toeRoundMs: number) => digestOf({ event: { ...event, toe }, toeRoundMs })
    expect(toe(1615304991, 60_000)).toBe(toe(1615304991, 0))
    expect(toe(1615304991, 60_000)).not.toBe(toe(1615304992, 60_000))
  })

  it.each([
    ['in order', { a: 1, b: 2 }],
    ['out of order', { b: 2, a: 1 }],
  ])('tells everything else apart where members come %s', (_order, data) => {
    const events = { 'a:b': data }
    const of = (x: object) => ({ event: { events: { 'a:b': { ...data, ...x } } } })
    const proto = { events: { 'a:b': JSON.parse(JSON.stringify(data).replace('}', ',"__proto__":1}')) } }
    const variants: Partial<ClaimsInput>[] = [
      { event: { events } },
      { event: { events }, txn: 'u' },
      { event: { events }, jti: 'e2' },
      { event: { events }, issuer: 'https://other.example' },
      { event: { events }, audience: ['https://rx.example'] },
      { event: { events, toe: 1 } },
      { event: { events, sub: 'x' } },
      { event: { events, sub_id: { format: 'opaque', id: 'x' } } },
      { event: { events, sub_id: { id: 'y', format: 'opaque' } } },
      of({ x: '1' }),
      of({ x: 1 }),
      of({ x: [1] }),
      of({ x: { 0: 1 } }),
      of({ x: null }),
      { event: proto },
    ]
    expect(new Set(variants.map(digestOf)).size).toBe(variants.length)
  })

  it('of a SET issued elsewhere is that of its bytes', () => {
    expect(tokenDigest('a.b.c')).toBe(tokenDigest('a.b.c'))
    expect(tokenDigest('a.b.c')).not.toBe(tokenDigest('a.b.d'))
  })
})
