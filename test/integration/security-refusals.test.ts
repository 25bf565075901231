/** Limits on refused requests: P-123, P-185; RFC 6585 §4. Also that they cost Redis nothing, and neighbours nothing. */
import { beforeAll, describe, expect, it } from 'vitest'
import { newToken } from '../../src/delivery/tokens.ts'
import { type Ask, ask } from '../support/http.ts'
import { commandsDuring } from '../support/monitor.ts'
import { testPrefix } from '../support/redis.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'

const NOW = { returnImmediately: true }
const LIMIT = 20

const prefix = testPrefix()
let transmitter: TestTransmitter
let mine: { pollUrl: string; token: string }
let theirs: { pollUrl: string; token: string }
/** An address that nobody has used. */
let count = 10
const anywhere = () => `127.0.1.${++count}`
beforeAll(async () => {
  const env = {
    KEY_PREFIX: prefix,
    RATE_LIMIT_ANONYMOUS: String(LIMIT),
    TRUST_PROXY: '127.0.0.9',
    RATE_LIMIT_POLL: '0',
  }
  transmitter = await startTransmitter(env)
  mine = await transmitter.addReceiver('mine')
  theirs = await transmitter.addReceiver('theirs')
})

const poll = (options: Ask = {}, url = mine.pollUrl) => ask(url, { body: NOW, ...options })
/** Not the note that a good token was used, which is written some time later. */
const isLookUp = ([command, key]: readonly string[]) => /^hmget$/i.test(command ?? '') && key?.includes(':token:')

async function useUp(localAddress: string, options: Ask = {}): Promise<void> {
  const answers = await Promise.all(Array.from({ length: LIMIT + 5 }, () => poll({ ...options, localAddress })))
  expect(answers.at(-1)?.status).toBe(429)
}

describe('an address whose requests were refused too often', () => {
  it('is answered 429 instead, with when to come back, and nothing is applied', async () => {
    const localAddress = anywhere()
    const statuses: number[] = []
    for (let i = 0; i < LIMIT + 1; i++) statuses.push((await poll({ localAddress })).status)
    expect(statuses).toEqual([...Array(LIMIT).fill(401), 429])
    const { headers, body } = await poll({ localAddress })
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers).not.toHaveProperty('www-authenticate')
    expect(body.err).toBe('rate_limited')
  })

  it.each<[string, () => Ask, () => string]>([
    ['with a wrong token', () => ({ token: newToken() }), () => mine.pollUrl],
    ['for streams of others', () => ({ token: mine.token }), () => theirs.pollUrl],
    ['without the scope', () => ({ token: transmitter.adminToken }), () => mine.pollUrl],
    ['for paths that are not there', () => ({}), () => `${transmitter.publicUrl}/admin`],
    ['by another method', () => ({ method: 'PUT' }), () => mine.pollUrl],
    ['at the internal listener', () => ({}), () => `${transmitter.internalUrl}/v1/receivers`],
  ])('may have asked %s', async (_, options, url) => {
    const localAddress = anywhere()
    await useUp(localAddress)
    expect((await poll({ ...options(), localAddress }, url())).status).toBe(429)
  })

  it('keeps working for whoever has a credential there', async () => {
    const localAddress = anywhere()
    await useUp(localAddress)
    expect((await poll({ token: mine.token, localAddress })).status).toBe(200)
    const internal = { token: transmitter.adminToken, localAddress }
    expect((await ask(`${transmitter.internalUrl}/v1/receivers`, internal)).status).toBe(200)
    // What an administrator does not find is an answer.
    expect((await ask(`${transmitter.internalUrl}/v1/receivers/none`, internal)).status).toBe(404)
  })

  it('keeps working for a credential that this process has never seen, old or new', async () => {
    const { token: old } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', {
      scope: 'poll',
      receiver: 'mine',
    })
    const another = await startTransmitter(
      { KEY_PREFIX: prefix, RATE_LIMIT_ANONYMOUS: String(LIMIT), RATE_LIMIT_POLL: '0', KEYS_DIR: transmitter.keysDir },
      ['public'],
    )
    const url = mine.pollUrl.replace(transmitter.publicUrl, another.publicUrl)
    const localAddress = anywhere()
    for (let i = 0; i < LIMIT + 5; i++) await poll({ token: newToken(), localAddress }, url)
    expect((await poll({ localAddress }, url)).status).toBe(429)
    expect((await poll({ token: old, localAddress }, url)).status).toBe(200)
    const { token } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', {
      scope: 'poll',
      receiver: 'mine',
    })
    await expect.poll(async () => (await poll({ token, localAddress }, url)).status).toBe(200)
    await another.stop()
  })

  it('says nothing about other addresses', async () => {
    await useUp(anywhere())
    expect((await poll({ localAddress: anywhere() })).status).toBe(401)
  })

  it('is that of the client behind a trusted proxy', async () => {
    const proxy = '127.0.0.9'
    const via = (client: string): Ask => ({ headers: { 'x-forwarded-for': client } })
    await useUp(proxy, via('203.0.113.1'))
    expect((await poll({ ...via('203.0.113.1'), localAddress: proxy })).status).toBe(429)
    expect((await poll({ ...via('203.0.113.2'), localAddress: proxy })).status).toBe(401)
    // What a client puts before its own address does not make it another one.
    expect((await poll({ ...via('198.51.100.1, 203.0.113.1'), localAddress: proxy })).status).toBe(429)
  })

  it('is the connection itself where a stranger forwards', async () => {
    const localAddress = anywhere()
    await useUp(localAddress)
    const headers = { 'x-forwarded-for': '203.0.113.77', forwarded: 'for=203.0.113.77', 'x-real-ip': '203.0.113.77' }
    expect((await poll({ localAddress, headers })).status).toBe(429)
  })
})

describe('refused requests', () => {
  it('without a credential ask Redis nothing', async () => {
    const commands = await commandsDuring(`${prefix}:{`, async () => {
      await Promise.all(Array.from({ length: 200 }, () => poll({ localAddress: anywhere() })))
    })
    expect(commands).toEqual([])
  })

  it('over the limit ask Redis nothing, also for tokens that could be ours', async () => {
    const localAddress = anywhere()
    await useUp(localAddress)
    // The first of them has this process read which tokens there are.
    await expect
      .poll(async () =>
        (await commandsDuring(prefix, () => poll({ token: newToken(), localAddress }))).filter(isLookUp),
      )
      .toEqual([])
    const commands = await commandsDuring(prefix, async () => {
      for (let i = 0; i < 200; i++) expect((await poll({ token: newToken(), localAddress })).status).toBe(429)
    })
    expect(commands.filter(isLookUp)).toEqual([])
  })

  it('are refused before their body is there', async () => {
    const headers = { 'content-length': '1000000', 'content-type': 'application/json' }
    expect((await ask(mine.pollUrl, { method: 'POST', headers, localAddress: anywhere(), open: true })).status).toBe(
      401,
    )
  })
})
