import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { SetupError } from '../../../src/errors.ts'
import { Proxies } from '../../../src/http/proxies.ts'

function from(remoteAddress: string, forwardedFor?: string): FastifyRequest {
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  return { socket: { remoteAddress } as Socket, headers } as unknown as FastifyRequest
}

describe('the address of a client', () => {
  const proxies = new Proxies('10.0.0.0/8, 2001:db8::5')

  it.each([
    ['the connection itself', '192.0.2.1', undefined, '192.0.2.1'],
    ['the connection itself when a stranger forwards', '192.0.2.1', '203.0.113.9', '192.0.2.1'],
    ['what a trusted proxy reports', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['what the outermost trusted proxy reports', '10.1.2.3', '203.0.113.9, 10.9.9.9', '203.0.113.9'],
    ['not what the client made up before it', '10.1.2.3', '198.51.100.7, 203.0.113.9', '203.0.113.9'],
    ['without a port', '10.1.2.3', '203.0.113.9:4711', '203.0.113.9'],
    ['without brackets', '2001:db8::5', '[2001:db8::77]:443', '2001:db8::77'],
    ['the proxy where its report is no address', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['the proxy where it reports nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['an IPv4 address written as IPv6', '::ffff:10.1.2.3', '203.0.113.9', '203.0.113.9'],
  ])('is %s', (_, remote, forwarded, address) => {
    expect(proxies.clientAddress(from(remote, forwarded))).toBe(address)
  })

  it('is the connection itself where no proxy is trusted', () => {
    const none = new Proxies(undefined)
    expect(none.isBehind(from('10.1.2.3'))).toBe(false)
    expect(none.clientAddress(from('10.1.2.3', '203.0.113.9'))).toBe('10.1.2.3')
  })
})

it.each(['proxy.example', '10.0.0.0/33', '10.0.0', '', '10.0.0.1,,', '2001:db8::/129', '10.0.0.1/x'])(
  'refuses TRUST_PROXY=%j by name and without the value',
  text => {
    expect(() => new Proxies(text)).toThrow(SetupError)
    expect(() => new Proxies(text)).toThrow(/^TRUST_PROXY: not a list/)
  },
)
