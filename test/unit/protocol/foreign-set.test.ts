import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fault, TransmitterError } from '../../../src/errors.ts'
import { type ForeignSetRules, parseForeignSet } from '../../../src/protocol/foreign-set.ts'

const rules: ForeignSetRules = { audience: 'https://rx.example', issuer: 'https://tx.example' }
const header = { alg: 'ES256', typ: 'secevent+jwt', kid: 'k' }
const claims = {
  iss: 'https://other.example',
  iat: 1700000000,
  jti: 'j1',
  aud: 'https://rx.example',
  events: { 'urn:example:thing': {} },
}
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const token = (ofHeader: unknown = header, ofClaims: unknown = claims, signature = 'c2ln') =>
  `${encode(ofHeader)}.${encode(ofClaims)}.${signature}`

function faults(text: string, given: ForeignSetRules = rules): readonly Fault[] {
  try {
    parseForeignSet(text, given)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(TransmitterError)
    expect((error as TransmitterError).code).toBe('bad_request')
    expect((error as TransmitterError).faults).not.toEqual([])
    return (error as TransmitterError).faults
  }
}
const places = (text: string, given?: ForeignSetRules) => faults(text, given).map(fault => fault.at)
const without = (name: string, from: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(from).filter(([member]) => member !== name))

describe('a SET issued elsewhere', () => {
  it('is taken with its own jti, claims and header', () => {
    expect(parseForeignSet(token(), rules)).toEqual({ jti: 'j1', claims, header, ourIssuer: false })
  })

  it('may name any jti of up to 256 characters (P-156)', () => {
    for (const jti of ['10', '__proto__', 'évé-🔐', ' ', 'x'.repeat(256), '"\\\n']) {
      expect(parseForeignSet(token(header, { ...claims, jti }), rules).jti).toBe(jti)
    }
  })

  it('may have several audiences, as may the receiver', () => {
    expect(places(token(header, { ...claims, aud: ['x', 'b'] }), { ...rules, audience: ['a', 'b'] })).toEqual([])
    expect(places(token(header, { ...claims, aud: ['x', 'y'] }), { ...rules, audience: ['a', 'b'] })).toEqual([
      'claims/aud',
    ])
  })

  it('may be signed with an algorithm that we do not use', () => {
    expect(places(token({ ...header, alg: 'ES512' }))).toEqual([])
  })

  it('is marked when it says that we issued it', () => {
    expect(parseForeignSet(token(header, { ...claims, iss: rules.issuer }), rules).ourIssuer).toBe(true)
    expect(parseForeignSet(token(header, { ...claims, iss: `${rules.issuer}/` }), rules).ourIssuer).toBe(false)
  })

  it('may carry further claims (P-168)', () => {
    const more = { ...claims, toe: 1.5, txn: 't', sub: 's', sub_id: { format: 'opaque', id: 'x' }, vendor: { a: 1 } }
    expect(places(token(header, more))).toEqual([])
  })
})

describe('is refused', () => {
  it.each([
    ['empty', ''],
    ['no token at all', 'hello'],
    ['two parts', `${encode(header)}.${encode(claims)}`],
    ['four parts', `${token()}.x`],
    ['without a signature', token(header, claims, '')],
    ['without claims', `${encode(header)}..c2ln`],
    ['with padding', `${token()}=`],
    ['with a line break', `${token()}\n`],
    ['with a space in front', ` ${token()}`],
    ['with standard base64', token(header, claims, 'a+/b')],
    ['with a part no bytes encode to', token(header, claims, 'a')],
    ['in JSON serialization', JSON.stringify({ payload: encode(claims), signatures: [] })],
    ['encrypted', 'a.b.c.d.e'],
    ['endless dots', '.'.repeat(100_000)],
  ])('what is not a compact JWS: %s', (_, text) => {
    expect(places(text)).toEqual([''])
  })

  it('what is encrypted, and says so', () => {
    expect(faults('aa.bb.cc.dd.ee')[0]?.message).toMatch(/encrypted/)
  })

  it.each(['[]', 'null', '"x"', '{', '1', '{"a":1}{}', ''])('a header or claims of %j', text => {
    if (text !== '') expect(places(token(text))).toContain('header')
    if (text !== '') expect(places(token(header, text))).toContain('claims')
  })

  it('what is not UTF-8, nests too deeply or holds an unpaired surrogate', () => {
    const bytes = Buffer.from('{"alg":"ES256","typ":"secevent+jwt","x":"\u00e9"}', 'latin1').toString('base64url')
    expect(places(`${bytes}.${encode(claims)}.c2ln`)).toEqual(['header'])
    expect(places(token(header, `{"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`))).toEqual(['claims'])
    expect(places(token(header, { ...claims, jti: '\ud800' }))).toEqual(['claims/jti'])
  })

  it.each([
    [{ alg: 'none' }, ['header/alg']],
    [{ alg: 'NONE' }, ['header/alg']],
    [{ alg: '' }, ['header/alg']],
    [{ alg: 1 }, ['header/alg']],
    [{ typ: 'JWT' }, ['header/typ']],
    [{ typ: 'application/secevent+jwt' }, ['header/typ']],
    [{ typ: 'SECEVENT+JWT' }, ['header/typ']],
    [{ typ: undefined }, ['header/typ']],
    [{ crit: ['b64'], b64: false }, ['header/crit']],
  ])('a header with %j (P-167, P-173)', (members, at) => {
    expect(places(token({ ...header, ...members }))).toEqual(at)
  })

  it.each([
    ['jti', [undefined, 1, '', 'x'.repeat(257), null]],
    ['iss', [undefined, 1, '', null]],
    ['iat', [undefined, '1700000000', null]],
    ['aud', [undefined, 1, 'https://other.example', [], [1], ['https://rx.example', 1], null]],
    ['events', [undefined, {}, [], 'x', null]],
    ['exp', [1, null]],
    ['toe', ['x', null]],
    ['txn', [1, null]],
    ['sub', [1, null]],
    ['sub_id', ['x', null]],
  ])('a SET whose %s is any of %j (P-153 … P-166)', (name, values) => {
    for (const value of values) expect(places(token(header, { ...claims, [name]: value }))).toEqual([`claims/${name}`])
  })

  it('a SET whose events or subject are not well formed', () => {
    expect(places(token(header, { ...claims, events: { 'a:b': 1, foo: {}, 'c/d': {} } }))).toEqual([
      'claims/events/a:b',
      'claims/events/foo',
      'claims/events/c~1d',
    ])
    expect(places(token(header, { ...claims, sub_id: { format: 'email' } }))).toEqual(['claims/sub_id/email'])
  })

  it('naming every fault at once, and no value', () => {
    const bad = token({ alg: 'none', typ: 'MARK' }, { ...without('jti', claims), iss: 5, aud: 'MARK', exp: 'MARK' })
    expect(places(bad)).toEqual(['header/alg', 'header/typ', 'claims/jti', 'claims/iss', 'claims/exp', 'claims/aud'])
    expect(JSON.stringify(faults(bad))).not.toContain('MARK')
  })
})

it('answers any text, header and claims with a SET or faults', () => {
  const members = (known: object) =>
    fc.record(
      Object.fromEntries(
        Object.entries(known).map(([name, value]) => [name, fc.oneof(fc.constant(value), fc.jsonValue())]),
      ),
      { requiredKeys: [] },
    )
  const wellMeant = fc.tuple(members(header), members({ ...claims, exp: 1, sub_id: { format: 'email' } }))
  const anything = fc.oneof(
    fc.string(),
    fc.array(fc.oneof(fc.json().map(encode), fc.string()), { maxLength: 6 }).map(parts => parts.join('.')),
    wellMeant.map(([ofHeader, ofClaims]) => token(ofHeader, ofClaims)),
  )
  fc.assert(
    fc.property(anything, text => void faults(text)),
    { numRuns: 1000 },
  )
})
