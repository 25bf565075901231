import { expect, it } from 'vitest'
import { validateSubject } from '../../../src/protocol/subject.ts'

const email = { format: 'email', email: 'user@example.com' }
const phone = { format: 'phone_number', phone_number: '+12065550100' }
const places = (subject: unknown) => validateSubject(subject, '/sub_id').map(fault => fault.at)

it.each([
  // The examples of RFC 9493 §3.2.
  { format: 'account', uri: 'acct:example.user@service.example.com' },
  email,
  { format: 'iss_sub', iss: 'https://issuer.example.com/', sub: '145234573' },
  { format: 'opaque', id: '11112222333344445555' },
  phone,
  { format: 'did', url: 'did:example:123456' },
  { format: 'did', url: 'did:example:123456/did/url/path?versionId=1' },
  { format: 'uri', uri: 'https://user.example.com/' },
  { format: 'uri', uri: 'urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f' },
  { format: 'aliases', identifiers: [email, phone, { format: 'email', email: 'user+qualifier@example.com' }] },
  // SSF 1.0 §3.3–3.5.
  { format: 'jwt_id', iss: 'https://idp.example.com/123456789/', jti: 'B70BA622-9515-4353-A866-823539EECBC8' },
  {
    format: 'saml_assertion_id',
    issuer: 'https://idp.example.com/123456789/',
    assertion_id: '_8e8dc5f69a98cc4c1ff3427e5ce34606fd672f91e6',
  },
  { format: 'ip-addresses', 'ip-addresses': ['10.29.37.75', '2001:0db8:0000:0000:0000:8a2e:0370:7334'] },
  { format: 'complex', user: email, device: { format: 'iss_sub', iss: 'https://idp.example.com', sub: 'x' } },
  { format: 'complex', user: { format: 'aliases', identifiers: [email] } },
  { format: 'scim', uri: '/Users/44f6142df96bd6ab61e7521d9', externalId: 'jdoe' },
  { format: 'https://example.com/formats/badge', number: 17 },
  { format: 'badge.example.com', number: '17' },
])('takes %j', subject => {
  expect(validateSubject(subject, '')).toEqual([])
})

it.each([
  { format: 'account' },
  { format: 'account', uri: 'https://example.com' },
  { format: 'email' },
  { format: 'email', email: '' },
  { format: 'email', email: null },
  { format: 'email', email: 5 },
  { format: 'email', email: 'nobody' },
  { format: 'email', email: 'a@b c' },
  { format: 'email', email: 'a@b.example', name: 'x' },
  { format: 'iss_sub', iss: 'https://issuer.example.com/' },
  { format: 'iss_sub', sub: 'x' },
  { format: 'opaque', id: '' },
  { format: 'opaque', id: 7 },
  { format: 'phone_number', phone_number: '206-555-0100' },
  { format: 'phone_number', phone_number: '+012345' },
  { format: 'did', url: 'https://example.com' },
  { format: 'uri', uri: 'no uri' },
  { format: 'uri', uri: 'relative/path' },
  { format: 'aliases' },
  { format: 'aliases', identifiers: [] },
  { format: 'aliases', identifiers: {} },
  { format: 'aliases', identifiers: [{ format: 'email' }] },
  { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [email] }] },
  { format: 'aliases', identifiers: [{ format: 'complex', user: email }] },
  { format: 'aliases', identifiers: ['x'] },
  { format: 'jwt_id', iss: 'x' },
  { format: 'saml_assertion_id', issuer: 'x' },
  { format: 'ip-addresses', 'ip-addresses': [] },
  { format: 'ip-addresses', 'ip-addresses': ['10.0.0.1', ''] },
  { format: 'ip-addresses', 'ip-addresses': '10.0.0.1' },
  { format: 'complex' },
  { format: 'complex', user: 'x' },
  { format: 'complex', user: { format: 'complex', user: email } },
  { format: 'complex', user: { format: 'email' } },
  { format: 'scim' },
  { format: 'scim', uri: '/Users/1', externalId: null },
  { format: 'phone', phone_number: '+12065550100' },
  { format: 'EMAIL', email: 'a@b.example' },
  { format: '__proto__', email: 'a@b.example' },
  { format: 'toString' },
  { format: '' },
  { format: 7 },
  { format: null },
  { format: 'https://example.com/f', id: null },
  { format: 'https://example.com/f', id: '' },
  { format: 'https://example.com/f', id: {} },
  {},
  { email: 'a@b.example' },
  null,
  [],
  'user@example.com',
])('refuses %j', subject => {
  expect(validateSubject(subject, '')).not.toEqual([])
})

it('names every fault by its place, and never the value', () => {
  const subject = {
    format: 'complex',
    user: { format: 'iss_sub' },
    'a/b': { format: 'email', email: 'MARK', x: 'MARK' },
  }
  const faults = validateSubject(subject, '/sub_id')
  expect(faults.map(fault => fault.at)).toEqual([
    '/sub_id/user/iss',
    '/sub_id/user/sub',
    '/sub_id/a~1b/email',
    '/sub_id/a~1b/x',
  ])
  expect(faults.map(fault => fault.message).join()).not.toContain('MARK')
  expect(places({ format: 'aliases', identifiers: [email, { format: 'opaque' }] })).toEqual([
    '/sub_id/identifiers/1/id',
  ])
})
