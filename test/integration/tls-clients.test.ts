/** Client certificates: P-130, P-143; RFC 8705 §2, §3. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Authority, authority, type Identity } from '../support/certificates.ts'
import { type Ask, ask } from '../support/http.ts'
import { commandsDuring } from '../support/monitor.ts'
import { AUDIENCE, type OAuthIssuer, startIssuer } from '../support/oauth-issuer.ts'
import { testPrefix } from '../support/redis.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const NOW = { returnImmediately: true }

let ca: Authority
let strangers: Authority
let server: Identity
let directory: string
let caFile: string
let issuer: OAuthIssuer
let transmitter: TestTransmitter
const prefix = testPrefix()
beforeAll(async () => {
  ca = await authority('authority of clients')
  strangers = await authority('authority of strangers')
  server = await ca.issue('IP:127.0.0.1')
  directory = await mkdtemp(join(tmpdir(), 'setstream-tls-'))
  caFile = join(directory, 'clients.pem')
  await copyFile(ca.certFile, caFile)
  issuer = await startIssuer()
  const tls = { TLS_CERT_FILE: server.certFile, TLS_KEY_FILE: server.keyFile, TLS_CLIENT_CA_FILE: caFile }
  transmitter = await startTransmitter({
    ...tls,
    KEY_PREFIX: prefix,
    OAUTH_ISSUER: issuer.issuer,
    OAUTH_AUDIENCE: AUDIENCE,
    TRUST_PROXY: '127.0.0.9',
  })
})
afterAll(async () => {
  await issuer.stop()
  await rm(directory, { recursive: true, force: true })
})

const as = ({ cert, key }: Identity): Ask => ({ body: NOW, tls: { ca: ca.cert, cert, key } })
const poll = (id: string, options: Ask) => ask(`${transmitter.publicUrl}/receivers/${id}/poll`, options)
const patch = (id: string, clients: unknown) => transmitter.admin('PATCH', `/v1/receivers/${id}`, { clients })

describe('a client certificate', () => {
  it.each([
    ['host name', 'DNS:client.example', 'Client.Example'],
    ['URI', 'URI:spiffe://trust.example/receiver', 'spiffe://trust.example/receiver'],
    ['mail address', 'email:ops@receiver.example', 'ops@receiver.example'],
    ['address', 'IP:2001:db8::1', '2001:DB8:0::1'],
  ])('stands for the one receiver that lists its %s', async (kind, names, certSan) => {
    const id = `by-${kind.replace(' ', '-').toLowerCase()}`
    await transmitter.addReceiver(id, { clients: [{ certSan }] })
    const client = await ca.issue(`${names},DNS:other.example`)
    expect((await poll(id, as(client))).status).toBe(200)
    // Receivers of others and none are the same to it.
    await transmitter.addReceiver(`${id}-not`)
    const [foreign, unknown] = [await poll(`${id}-not`, as(client)), await poll('nobody', as(client))]
    expect([foreign.status, foreign.text]).toEqual([404, unknown.text])
  })

  it('stands for the one receiver that lists its SHA-256', async () => {
    const [client, other] = [await ca.issue('DNS:a.example'), await ca.issue('DNS:a.example')]
    const certSha256 = client.sha256.toUpperCase().replace(/(..)(?=.)/g, '$1:')
    await transmitter.addReceiver('by-hash', { clients: [{ certSha256 }] })
    expect((await poll('by-hash', as(client))).status).toBe(200)
    const { status, headers } = await poll('by-hash', as(other))
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="setstream"'])
  })

  it('counts for nothing when no authority of ours vouches for it', async () => {
    await transmitter.addReceiver('vouched', { clients: [{ certSan: 'vouched.example' }] })
    const mine = await ca.issue('DNS:vouched.example')
    expect((await poll('vouched', as(mine))).status).toBe(200)
    expect((await poll('vouched', as(await strangers.issue('DNS:vouched.example')))).status).toBe(401)
  })

  it('counts for nothing once it has expired', async () => {
    await transmitter.addReceiver('expired', { clients: [{ certSan: 'expired.example' }] })
    expect((await poll('expired', as(await ca.issue('DNS:expired.example')))).status).toBe(200)
    expect((await poll('expired', as(await ca.issue('DNS:expired.example', { days: 0 })))).status).toBe(401)
  })

  it('need not be shown: a token will do, and says who it is where both are', async () => {
    const { token } = await transmitter.addReceiver('with-token')
    await transmitter.addReceiver('with-certificate', { clients: [{ certSan: 'both.example' }] })
    const client = await ca.issue('DNS:both.example')
    expect((await poll('with-token', { token, body: NOW, tls: { ca: ca.cert } })).status).toBe(200)
    expect((await poll('with-token', { ...as(client), token })).status).toBe(200)
    expect((await poll('with-certificate', { ...as(client), token })).status).toBe(404)
    expect((await poll('with-certificate', { ...as(client), token: 'spoilt' })).status).toBe(401)
  })

  it('is given to one receiver only', async () => {
    await transmitter.addReceiver('owner', { clients: [{ certSan: 'owned.example' }] })
    const rival = { id: 'rival', audience: 'a', clients: [{ certSan: 'OWNED.example' }] }
    const call = (method: string, path: string, body: unknown) =>
      ask(transmitter.internalUrl + path, { method, token: transmitter.adminToken, body })
    expect((await call('POST', '/v1/receivers', rival)).status).toBe(409)
    await transmitter.addReceiver('rival')
    expect((await call('PATCH', '/v1/receivers/rival', { clients: rival.clients })).status).toBe(409)
    expect((await call('PATCH', '/v1/receivers/owner', { clients: rival.clients })).status).toBe(200)
  })

  it('that two receivers list by different names stands for neither', async () => {
    await transmitter.addReceiver('one', { clients: [{ certSan: 'one.example' }] })
    await transmitter.addReceiver('two', { clients: [{ certSan: 'two.example' }] })
    const client = as(await ca.issue('DNS:one.example,DNS:two.example'))
    expect((await poll('one', client)).status).toBe(401)
    await patch('two', null)
    expect((await poll('one', client)).status).toBe(200)
  })

  it('is worthless on every process within a second after its receiver no longer lists it', async () => {
    await transmitter.addReceiver('leaving', { clients: [{ certSan: 'leaving.example' }] })
    const other = await startTransmitter(
      {
        KEY_PREFIX: prefix,
        TLS_CERT_FILE: server.certFile,
        TLS_KEY_FILE: server.keyFile,
        TLS_CLIENT_CA_FILE: caFile,
      },
      ['public'],
    )
    const client = await ca.issue('DNS:leaving.example')
    // The same connection throughout: what counts is asked anew for each request.
    const agent = new Agent({ keepAlive: true, ca: ca.cert, cert: client.cert, key: client.key })
    const there = () =>
      ask(`${other.publicUrl}/receivers/leaving/poll`, { body: NOW, agent }).then(({ status }) => status)
    expect(await there()).toBe(200)
    await patch('leaving', null)
    const sinceMs = performance.now()
    await until('the refusal', async () => (await there()) === 401)
    expect(performance.now() - sinceMs).toBeLessThan(1000)
    agent.destroy()
    await other.stop()
  })

  it('is told without asking Redis, once it is known', async () => {
    await transmitter.addReceiver('steady', { clients: [{ certSan: 'steady.example' }] })
    const client = as(await ca.issue('DNS:steady.example'))
    await poll('steady', client)
    // A process that was stopped for a second looks again, as it should: that is not the steady state.
    await until(
      'polls that ask Redis once',
      async () => {
        const commands = await commandsDuring(`${prefix}:{steady}`, async () => {
          for (let i = 0; i < 20; i++) expect((await poll('steady', client)).status).toBe(200)
        })
        return commands.length === 20 && commands.every(([command]) => /^evalsha$/i.test(command ?? ''))
      },
      15_000,
    )
  })

  it('confirms an access token that is bound to it (RFC 8705 §3)', async () => {
    await transmitter.addReceiver('bound', { clients: [{ oauthClientId: 'c1' }] })
    const [client, other] = [await ca.issue('DNS:bound.example'), await ca.issue('DNS:bound.example')]
    const thumbprint = Buffer.from(client.sha256, 'hex').toString('base64url')
    const token = await issuer.accessToken({ cnf: { 'x5t#S256': thumbprint } })
    expect((await poll('bound', { ...as(client), token })).status).toBe(200)
    expect((await poll('bound', { ...as(other), token })).status).toBe(401)
    expect((await poll('bound', { token, body: NOW, tls: { ca: ca.cert } })).status).toBe(401)
  })

  it('counts for nothing on new connections once its authority was taken away', async () => {
    await transmitter.addReceiver('authority', { clients: [{ certSan: 'authority.example' }] })
    const client = as(await ca.issue('DNS:authority.example'))
    expect((await poll('authority', client)).status).toBe(200)
    await copyFile(strangers.certFile, caFile)
    await until('the refusal', async () => (await poll('authority', client)).status === 401)
    await copyFile(ca.certFile, caFile)
    await until('the return', async () => (await poll('authority', client)).status === 200)
  })
})

describe('a certificate that a header holds (RFC 9440)', () => {
  const headers = (cert: string) => ({
    'client-cert': `:${cert.replace(/-----[^-]+-----|\s/g, '')}:`,
  })
  let client: Identity
  beforeAll(async () => {
    await transmitter.addReceiver('behind', { clients: [{ certSan: 'behind.example' }] })
    client = await ca.issue('DNS:behind.example')
  })

  it('counts from a trusted proxy', async () => {
    const from: Ask = { body: NOW, localAddress: '127.0.0.9', tls: { ca: ca.cert } }
    expect((await poll('behind', { ...from, headers: headers(client.cert) })).status).toBe(200)
    for (const value of [
      '',
      'x',
      ':!:',
      '::',
      `${headers(client.cert)['client-cert']},:AAAA:`,
      `:${'A'.repeat(13_000)}:`,
    ]) {
      expect((await poll('behind', { ...from, headers: { 'client-cert': value } })).status).toBe(401)
    }
    expect((await poll('behind', from)).status).toBe(401)
    const expired = await ca.issue('DNS:behind.example', { days: 0 })
    expect((await poll('behind', { ...from, headers: headers(expired.cert) })).status).toBe(401)
  })

  it('counts from nobody else (P-143)', async () => {
    for (const localAddress of ['127.0.0.1', '127.0.0.8']) {
      const forged: Ask = { body: NOW, localAddress, tls: { ca: ca.cert }, headers: headers(client.cert) }
      const { status, headers: answer } = await poll('behind', forged)
      expect([status, answer['www-authenticate']]).toEqual([401, 'Bearer realm="setstream"'])
    }
  })

  it('is the client where the proxy shows a certificate of its own', async () => {
    await transmitter.addReceiver('the-proxy', { clients: [{ certSan: 'proxy.example' }] })
    const proxy = await ca.issue('DNS:proxy.example')
    const through = { ...as(proxy), localAddress: '127.0.0.9' }
    expect((await poll('the-proxy', through)).status).toBe(401)
    expect((await poll('behind', { ...through, headers: headers(client.cert) })).status).toBe(200)
  })

  it.each(['x-forwarded-client-cert', 'x-client-cert', 'x-ssl-client-cert', 'ssl-client-cert'])(
    'is not looked for in %s',
    async name => {
      const from: Ask = { body: NOW, localAddress: '127.0.0.9', tls: { ca: ca.cert } }
      const value = headers(client.cert)['client-cert']
      expect((await poll('behind', { ...from, headers: { [name]: value } })).status).toBe(401)
    },
  )
})

describe('the internal listener with authorities of clients', () => {
  it('takes connections with their certificates only, and still a token', async () => {
    const other = await startTransmitter(
      {
        INTERNAL_TLS_CERT_FILE: server.certFile,
        INTERNAL_TLS_KEY_FILE: server.keyFile,
        INTERNAL_TLS_CLIENT_CA_FILE: ca.certFile,
      },
      ['internal'],
    )
    const url = `${other.internalUrl}/v1/receivers`
    const client = await ca.issue('DNS:service.example')
    const tls = { ca: ca.cert, cert: client.cert, key: client.key }
    expect((await ask(url, { token: other.adminToken, tls })).status).toBe(200)
    expect((await ask(url, { tls })).status).toBe(401)
    await expect(ask(url, { token: other.adminToken, tls: { ca: ca.cert } })).rejects.toThrow()
    const stranger = await strangers.issue('DNS:service.example')
    const theirs = { ca: ca.cert, cert: stranger.cert, key: stranger.key }
    await expect(ask(url, { token: other.adminToken, tls: theirs })).rejects.toThrow()
  })
})
