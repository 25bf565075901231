import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { checkUrl } from '../../../src/client/checks.ts'
import { type Exchange, exchange, reasonOf, retryAfterMs } from '../../../src/client/http.ts'
import { scriptedServer } from './scripted-server.ts'

const request = (url: string, more: Partial<Exchange> = {}): Exchange => ({
  method: 'POST',
  url,
  headers: {},
  body: '{}',
  timeoutMs: 10_000,
  answerBytesMax: 1_000,
  signal: undefined,
  fetch,
  ...more,
})

describe('Retry-After (RFC 9110 §10.2.3)', () => {
  it('is seconds or a date', () => {
    expect(retryAfterMs('3', 0)).toBe(3_000)
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:05 GMT', 1_000)).toBe(4_000)
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:05 GMT', 9_000)).toBe(0)
  })

  it('is an hour at most', () => {
    expect(retryAfterMs('99999999999999', 0)).toBe(3_600_000)
    expect(retryAfterMs('Fri, 01 Jan 2100 00:00:00 GMT', 0)).toBe(3_600_000)
  })

  it('is ignored when it is neither', () => {
    for (const header of [null, '', 'soon', '-1']) expect(retryAfterMs(header, 0)).toBeUndefined()
  })
})

describe('a URL that gets a token (RFC 6750 §5.2)', () => {
  it('is https, or http on this machine', () => {
    for (const url of ['https://a.example', 'http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1']) {
      expect(checkUrl('url', url, false).href).toContain(url)
    }
  })

  it('is plain http to another machine only if that is said', () => {
    expect(() => checkUrl('url', 'http://a.example', false)).toThrow('url is plain HTTP to another machine')
    expect(() => checkUrl('url', 'http://127.0.0.1.example', false)).toThrow('plain HTTP')
    expect(checkUrl('url', 'http://a.example', true).href).toBe('http://a.example/')
  })

  it('holds no credentials (RFC 9110 §4.2.4) and is http at all', () => {
    expect(() => checkUrl('url', 'https://u:p@a.example', false)).toThrow('must not hold')
    expect(() => checkUrl('url', 'ftp://a.example', false)).toThrow('not an http')
    expect(() => checkUrl('url', 'nonsense', false)).toThrow('not an http')
  })
})

describe('an exchange', () => {
  it('follows no redirect, which would carry the token elsewhere', async () => {
    const server = await scriptedServer()
    const pending = exchange(request(server.url, { headers: { authorization: 'Bearer x' } }))
    const taken = await server.next()
    taken.answer(307, '', { location: `${server.url}/elsewhere` })
    await expect(pending).rejects.toThrow()
    expect(server.waiting).toBe(0)
  })

  it('reads no answer beyond its bound', async () => {
    const server = await scriptedServer()
    const pending = exchange(request(server.url))
    const taken = await server.next()
    taken.answer(200, 'x'.repeat(100_000))
    await expect(pending).rejects.toThrow('larger than 1000 bytes')
  })

  it('ends at its deadline', async () => {
    const server = await scriptedServer()
    const failure = await exchange(request(server.url, { timeoutMs: 20 })).catch(reasonOf)
    expect(failure).toBe('no answer in time')
  })

  it('says why there is no connection', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const failure = await exchange(request(`http://127.0.0.1:${port}`)).catch(reasonOf)
    expect(failure).toContain('ECONNREFUSED')
  })
})
