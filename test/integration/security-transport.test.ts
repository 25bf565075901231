/** Who came over TLS, behind a proxy that ends it: P-128, P-145, P-150. And that no listener answers for another. */
import { beforeAll, describe, expect, it } from 'vitest'
import { type Ask, ask } from '../support/http.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'

const NOW = { returnImmediately: true }
const PROXY = '127.0.0.9'
const STRANGER = '127.0.0.1'
const https = { 'x-forwarded-proto': 'https' }

const receiver = { pollUrl: '', token: '' }
const poll = (options: Ask) => ask(receiver.pollUrl, { token: receiver.token, body: NOW, ...options })
const startBehindProxy = async (env: Record<string, string>) => {
  const transmitter = await startTransmitter(env)
  Object.assign(receiver, await transmitter.addReceiver('r1'))
  return transmitter
}

describe('plain HTTP behind a named proxy', () => {
  let transmitter: TestTransmitter
  beforeAll(async () => {
    transmitter = await startBehindProxy({ ALLOW_PLAIN_HTTP: 'behind-proxy', TRUST_PROXY: PROXY })
  })

  it('is answered when the proxy says that TLS led to it', async () => {
    expect((await poll({ localAddress: PROXY, headers: https })).status).toBe(200)
    expect((await poll({ localAddress: PROXY, headers: { 'x-forwarded-proto': 'HTTPS, https' } })).status).toBe(200)
  })

  it.each([
    ['the proxy says that it did not', PROXY, { 'x-forwarded-proto': 'http' }],
    ['one of several proxies says that it did not', PROXY, { 'x-forwarded-proto': 'https,http' }],
    ['the proxy does not say', PROXY, {}],
    ['it comes past the proxy', STRANGER, {}],
    ['a stranger says so', STRANGER, https],
    [
      'a stranger says so and who else it would be',
      STRANGER,
      { ...https, 'x-forwarded-for': PROXY, forwarded: 'proto=https' },
    ],
  ])('is refused, and sent nowhere else, when %s', async (_, localAddress, headers) => {
    const answer = await poll({ localAddress, headers })
    expect(answer.status).toBe(403)
    expect(answer.headers).not.toHaveProperty('location')
    expect(answer.headers).not.toHaveProperty('www-authenticate')
    expect(answer.body.err).toBe('insecure_transport')
  })

  it('is refused before anybody looks at the credential', async () => {
    const { status } = await ask(receiver.pollUrl, { localAddress: STRANGER, body: NOW })
    expect(status).toBe(403)
  })

  it('still tells a balancer whether the process lives', async () => {
    for (const path of ['/livez', '/readyz']) {
      expect((await ask(transmitter.publicUrl + path, { localAddress: STRANGER })).status).toBe(200)
    }
  })
})

describe('plain HTTP behind a proxy that is not named', () => {
  beforeAll(() => startBehindProxy({ ALLOW_PLAIN_HTTP: 'behind-proxy' }))

  it('is answered, unless the request itself admits that it was plain', async () => {
    expect((await poll({})).status).toBe(200)
    expect((await poll({ headers: https })).status).toBe(200)
    expect((await poll({ headers: { 'x-forwarded-proto': 'http' } })).status).toBe(403)
  })
})

describe('plain HTTP on loopback', () => {
  it('is answered, whatever strangers forward', async () => {
    await startBehindProxy({})
    expect((await poll({})).status).toBe(200)
    expect((await poll({ headers: { 'x-forwarded-proto': 'http' } })).status).toBe(200)
  })

  it('is refused when a named proxy says that the client came without TLS', async () => {
    await startBehindProxy({ TRUST_PROXY: PROXY })
    expect((await poll({ localAddress: STRANGER })).status).toBe(200)
    expect((await poll({ localAddress: PROXY, headers: https })).status).toBe(200)
    expect((await poll({ localAddress: PROXY, headers: { 'x-forwarded-proto': 'http' } })).status).toBe(403)
  })
})

describe('the listeners', () => {
  let transmitter: TestTransmitter
  beforeAll(async () => {
    transmitter = await startBehindProxy({})
  })
  const INTERNAL = [
    ['POST', '/v1/events'],
    ['POST', '/v1/events/batch'],
    ['GET', '/v1/receivers'],
    ['POST', '/v1/receivers/r1/sets'],
    ['GET', '/v1/receivers/r1/stats'],
    ['POST', '/v1/tokens'],
    ['GET', '/v1/audit'],
    ['GET', '/openapi.json'],
    ['GET', '/docs'],
    ['GET', '/console'],
    ['GET', '/metrics'],
  ]

  it.each(INTERNAL)('keep %s %s off the public port, also for an administrator', async (method, path) => {
    const options = { method, token: transmitter.adminToken, ...(method === 'POST' ? { body: {} } : {}) }
    expect((await ask(transmitter.publicUrl + path, options)).status).toBe(404)
  })

  it('keep polls off the internal port', async () => {
    const internal = receiver.pollUrl.replace(transmitter.publicUrl, transmitter.internalUrl)
    expect((await ask(internal, { token: receiver.token, body: NOW })).status).toBe(404)
    expect((await ask(`${transmitter.internalUrl}/metrics`, { token: transmitter.adminToken })).status).toBe(404)
  })
})
