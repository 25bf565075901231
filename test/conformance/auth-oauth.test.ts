/** JWT access tokens of an OAuth issuer: P-137 to P-140, P-142; RFC 9068 §4, RFC 8725 §3. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ask } from '../support/http.ts'
import { AUDIENCE, type OAuthIssuer, startIssuer } from '../support/oauth-issuer.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const EVENT = { events: { 'https://schemas.example/event/happened': {} } }
const NOW = { returnImmediately: true }

let issuer: OAuthIssuer
let transmitter: TestTransmitter
const pollUrl = (id: string) => `${transmitter.publicUrl}/receivers/${id}/poll`
const poll = async (token: string, id = 'r1') => ask(pollUrl(id), { token, body: NOW })
beforeAll(async () => {
  issuer = await startIssuer('/realms/main')
  transmitter = await startTransmitter({
    OAUTH_ISSUER: issuer.issuer,
    OAUTH_AUDIENCE: AUDIENCE,
    OAUTH_SCOPE_POLL: 'ssf.manage ssf.manage.poll',
    OAUTH_SCOPE_PUBLISH: 'events.write',
  })
  const client = (oauthClientId: string) => ({ clients: [{ oauthClientId }] })
  await transmitter.addReceiver('r1', client('c1'))
  await transmitter.addReceiver('r2', client('c1'))
  await transmitter.addReceiver('other', client('c2'))
})
afterAll(() => issuer.stop())

const good = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  issuer.accessToken({ scope: 'openid ssf.manage.poll', ...claims }, header)

describe('an access token', () => {
  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT'])('of type %s lets its client poll', async typ => {
    expect((await poll(await good({}, { typ }))).status).toBe(200)
  })

  it.each(['RS256', 'PS256', 'ES384', 'EdDSA'])('may be signed with %s', async alg => {
    const kid = await issuer.addKey(alg)
    onTestFinished(() => issuer.removeKey(kid))
    // The key set is looked at again for a new key, at most every half minute: another process has not looked yet.
    const other = await startTransmitter({ OAUTH_ISSUER: issuer.issuer, OAUTH_AUDIENCE: AUDIENCE }, ['internal'])
    const { status } = await ask(`${other.internalUrl}/v1/receivers`, {
      token: await issuer.accessToken({ scope: 'read' }, {}, kid),
    })
    expect(status).toBe(200)
    await other.stop()
  })

  it('reaches every receiver that lists its client, and no other', async () => {
    const token = await good()
    expect((await poll(token, 'r2')).status).toBe(200)
    const [foreign, unknown] = [await poll(token, 'other'), await poll(token, 'nobody')]
    expect(foreign.status).toBe(404)
    expect(foreign.text).toBe(unknown.text)
    expect((await poll(await good({ client_id: 'c3' }))).status).toBe(404)
  })

  it('reaches a receiver as long as that lists its client', async () => {
    const token = await good({ client_id: 'c4' })
    await transmitter.addReceiver('changing')
    expect((await poll(token, 'changing')).status).toBe(404)
    await transmitter.admin('PATCH', '/v1/receivers/changing', { clients: [{ oauthClientId: 'c4' }] })
    expect((await poll(token, 'changing')).status).toBe(200)
    await transmitter.admin('PATCH', '/v1/receivers/changing', { clients: null })
    expect((await poll(token, 'changing')).status).toBe(404)
  })

  const hour = 3600
  const now = () => Math.floor(Date.now() / 1000)
  it.each<[string, () => Promise<string>]>([
    ['has expired', () => good({ exp: now() - 1 })],
    ['never expires', () => good({ exp: undefined })],
    ['expires as a word', () => good({ exp: 'tomorrow' })],
    ['is not valid yet', () => good({ nbf: now() + hour })],
    ['is of another issuer', () => good({ iss: 'https://elsewhere.example' })],
    ['is of an issuer spelled alike', () => good({ iss: `${issuer.issuer}/` })],
    ['is meant for another', () => good({ aud: 'https://elsewhere.example' })],
    ['is meant for nobody', () => good({ aud: undefined })],
    ['names no client', () => good({ client_id: undefined })],
    ['names two clients', () => good({ client_id: ['c1', 'c2'] })],
    ['is an ID token', () => good({}, { typ: 'JWT' })],
    ['has no type', () => good({}, { typ: undefined })],
    ['is a logout token', () => good({}, { typ: 'logout+jwt' })],
    ['is a SET of the same issuer (P-139)', () => good({}, { typ: 'secevent+jwt' })],
    ['has a critical extension we do not know', () => good({}, { crit: ['x'], x: 1 })],
    ['is signed by an unknown key', () => good({}, { kid: 'unknown' })],
    ['is bound to a proof we cannot check', () => good({ cnf: { jkt: 'x' } })],
    ['is bound to a certificate that is not shown', () => good({ cnf: { 'x5t#S256': 'AAAA' } })],
    [
      'has another signature',
      async () => {
        const [one, other] = [await good(), await good()]
        return `${one.slice(0, one.lastIndexOf('.'))}${other.slice(other.lastIndexOf('.'))}`
      },
    ],
    [
      'has other claims',
      async () => {
        const [header, , signature] = (await good()).split('.')
        const claims = { iss: issuer.issuer, aud: AUDIENCE, exp: now() + hour, client_id: 'c2', scope: 'ssf.manage' }
        return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
      },
    ],
    ['is not signed', async () => unsigned('none', await good())],
    ['is not signed, in other letters', async () => unsigned('nOnE', await good())],
    ['is authenticated by our public key as a secret', async () => unsigned('HS256', await good())],
  ])('is refused when it %s (P-138)', async (_, make) => {
    const token = await make()
    const { status, headers, text } = await poll(token)
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="setstream", error="invalid_token"'])
    expect(text).not.toContain(token.slice(0, 20))
  })

  it('is refused when it is an own SET, as delivered (P-139)', async () => {
    await transmitter.admin('POST', '/v1/events', { ...EVENT, receivers: ['r1'] })
    const [set] = Object.values((await poll(await good())).body.sets)
    expect((await poll(String(set))).status).toBe(401)
  })

  it.each(['jku', 'x5u', 'jwk'])('leads us nowhere by %s (P-140)', async member => {
    const asked: (string | undefined)[] = []
    const elsewhere = createServer((request, response) => {
      asked.push(request.url)
      response.end(JSON.stringify({ keys: [issuer.publicJwk('key-1')] }))
    }).listen(0, '127.0.0.1')
    await once(elsewhere, 'listening')
    onTestFinished(async () => {
      elsewhere.close()
      await once(elsewhere, 'close')
    })
    const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/keys`
    const value = member === 'jwk' ? issuer.publicJwk('key-1') : url
    expect((await poll(await good({}, { [member]: value, kid: 'theirs' }))).status).toBe(401)
    expect(asked).toEqual([])
  })

  it.each(['../../etc/passwd', "x' OR '1'='1", '__proto__', ''])('finds no key by the kid %j (P-140)', async kid => {
    expect((await poll(await good({}, { kid }))).status).toBe(401)
  })
})

describe('the scopes of an access token', () => {
  it('have the names that were configured, any of which will do', async () => {
    expect((await poll(await good({ scope: 'ssf.manage' }))).status).toBe(200)
    const { status, headers } = await poll(await good({ scope: 'poll ssf.managed ssf' }))
    expect(status).toBe(403)
    expect(headers['www-authenticate']).toBe('Bearer realm="setstream", error="insufficient_scope", scope="ssf.manage"')
    expect((await poll(await good({ scope: undefined }))).status).toBe(403)
    expect((await poll(await good({ scope: ['ssf.manage'] }))).status).toBe(403)
  })

  it('let a client do on the internal listener what they say', async () => {
    const call = async (scope: string, path: string, body?: unknown) =>
      (await ask(transmitter.internalUrl + path, { token: await good({ scope }), body })).status
    expect(await call('read', '/v1/receivers')).toBe(200)
    expect(await call('events.write', '/v1/receivers')).toBe(403)
    expect(await call('events.write', '/v1/events', EVENT)).toBe(202)
    expect(await call('read', '/v1/events', EVENT)).toBe(403)
    expect(await call('admin', '/v1/receivers', { id: 'by-client', audience: 'a' })).toBe(201)
    expect(await call('read', '/v1/tokens', { scope: 'admin' })).toBe(403)
  })

  it('make a producer of a client, whose ids nobody else meets', async () => {
    const event = { ...EVENT, id: 'same', receivers: ['r1'] }
    const publish = async (token: string) =>
      (await ask(`${transmitter.internalUrl}/v1/events`, { token, body: event })).body.deliveries[0]
    const byClient = await publish(await good({ scope: 'events.write' }))
    const again = await publish(await good({ scope: 'events.write' }))
    const byOther = await publish(await good({ scope: 'events.write', client_id: 'c2' }))
    const byToken = await publish(await transmitter.publishToken('c1'))
    expect(again).toEqual({ ...byClient, status: 'duplicate' })
    expect(new Set([byClient.jti, byOther.jti, byToken.jti]).size).toBe(3)
  })

  it('let a client append SETs issued elsewhere only beside its right to publish', async () => {
    const append = async (scope: string) =>
      ask(`${transmitter.internalUrl}/v1/receivers/r1/sets`, {
        token: await good({ scope }),
        headers: { 'content-type': 'application/secevent+jwt' },
        body: 'x',
      })
    expect((await append('events.write')).status).toBe(403)
    expect((await append('foreign')).status).toBe(403)
    expect((await append('events.write foreign')).status).toBe(400)
  })

  it('name the client in the audit log', async () => {
    await ask(`${transmitter.internalUrl}/v1/receivers`, {
      token: await good({ scope: 'admin' }),
      body: { id: 'audited', audience: 'a' },
    })
    const { items } = await transmitter.admin<{ items: { who: string; target: string }[] }>('GET', '/v1/audit')
    expect(items.find(({ target }) => target === 'audited')?.who).toBe('client:c1')
  })
})

describe('an issuer that is away', () => {
  it('does not stop what is signed by a key we know, and the rest is put off', async () => {
    await poll(await good())
    const newer = await issuer.addKey()
    const [known, unknown] = [
      await issuer.accessToken({ scope: 'ssf.manage' }, {}, 'key-1'),
      await issuer.accessToken({ scope: 'ssf.manage' }, {}, newer),
    ]
    await issuer.stop()
    expect((await poll(known)).status).toBe(200)
    const fresh = await startTransmitter({ OAUTH_ISSUER: issuer.issuer, OAUTH_AUDIENCE: AUDIENCE }, ['internal'])
    const { status, headers } = await ask(`${fresh.internalUrl}/v1/receivers`, { token: unknown })
    expect(status).toBe(503)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    await issuer.start()
    await until(
      'the new key',
      async () => (await ask(`${fresh.internalUrl}/v1/receivers`, { token: unknown })).status === 403,
      10_000,
    )
    await fresh.stop()
  })
})

function unsigned(alg: string, token: string): string {
  const [, claims] = token.split('.')
  const header = Buffer.from(JSON.stringify({ alg, typ: 'at+jwt', kid: 'key-1' })).toString('base64url')
  return `${header}.${claims}.${alg === 'HS256' ? 'c2lnbmVk' : ''}`
}
