import { describe, expect, it } from 'vitest'
import { clientName, sanNames } from '../../../src/protocol/client-names.ts'

describe('the name of a client', () => {
  it.each([
    ['host names without regard to case', { certSan: 'Client.Example' }, { certSan: 'client.example' }],
    ['the domain of an address without regard to case', { certSan: 'a@Example.org' }, { certSan: 'a@example.org' }],
    ['addresses as numbers', { certSan: '2001:DB8::0:1' }, { certSan: '2001:db8::1' }],
    [
      'hashes without colons and case',
      { certSha256: `AB:${'00:'.repeat(30)}cd` },
      { certSha256: `ab${'00'.repeat(30)}CD` },
    ],
  ])('compares %s', (_, one, other) => {
    expect(clientName(one)).toBe(clientName(other))
  })

  it.each([
    ['a host name and a client id', { certSan: 'client' }, { oauthClientId: 'client' }],
    ['URIs by their characters', { certSan: 'https://Client.example/' }, { certSan: 'https://client.example/' }],
    ['the local part of addresses', { certSan: 'A@example.org' }, { certSan: 'a@example.org' }],
    ['a wildcard and what it would match', { certSan: '*.example' }, { certSan: 'client.example' }],
    ['client ids by their characters', { oauthClientId: 'A' }, { oauthClientId: 'a' }],
  ])('keeps %s apart', (_, one, other) => {
    expect(clientName(one)).not.toBe(clientName(other))
  })
})

describe('the names in a certificate', () => {
  it('are those that a receiver would list', () => {
    const text =
      'DNS:A.example, URI:spiffe://trust/x, email:Ab@C.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1'
    const listed = ['a.example', 'spiffe://trust/x', 'Ab@c.example', '10.0.0.1', '2001:db8::1']
    expect(sanNames(text)).toEqual(listed.map(certSan => clientName({ certSan })))
  })

  it('hold what is quoted as one value', () => {
    expect(sanNames('URI:"spiffe://t/a, DNS:evil.example"')).toEqual([])
    expect(sanNames('DNS:"a\\", DNS:b"')).toEqual(['dns:a", dns:b'])
  })

  it('leave out other kinds, and values that read like another kind', () => {
    expect(sanNames('DNS:spiffe://trust/x, email:10.0.0.1, URI:client.example, Registered ID:1.2.3')).toEqual([])
    expect(sanNames('othername:SmtpUTF8Mailbox:a@b.example, DirName:CN = x, DNS:a.example')).toEqual(['dns:a.example'])
  })

  it.each(['DNS:"unfinished', 'DNS:a"b', 'DNS', 'DNS:a,DNS:b'])('are none in %s, which cannot be told', text => {
    expect(sanNames(text)).toEqual([])
  })

  it('are none without a subjectAltName', () => {
    expect(sanNames('')).toEqual([])
  })
})
