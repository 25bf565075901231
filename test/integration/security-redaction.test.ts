/**
 * What a process writes, counts and keeps as audit tells nothing about anybody: marks are planted wherever a secret, a
 * subject or an event may stand, in every route and in failures, and looked for in all that comes out. P-133, P-191, P-200.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { newToken } from '../../src/delivery/tokens.ts'
import { keysFor } from '../../src/store/keys.ts'
import { authority } from '../support/certificates.ts'
import { foreignSet } from '../support/foreign-set.ts'
import { type Answered, type Ask, ask } from '../support/http.ts'
import { AUDIENCE, startIssuer } from '../support/oauth-issuer.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { startTransmitter } from '../support/transmitter.ts'
import { startProcess, type TransmitterProcess } from '../support/transmitter-process.ts'
import { until } from '../support/until.ts'

const TYPE = 'https://schemas.example/event/happened'
const NOW = { returnImmediately: true }

/** What must not come out, by what it is. */
const marks = new Map<string, string>()
/** A mark that reads like a value of its kind. */
function mark(what: string, make = (text: string) => text): string {
  const text = `zq${what.replace(/\W/g, '')}7`
  marks.set(what, text)
  return make(text)
}
/** A secret as it is, and what a shortened one would show. */
function secret(what: string, value: string): string {
  marks.set(what, value.slice(8, 28))
  return value
}

let server: TransmitterProcess
const errorBodies: string[] = []
let audit: string
let metrics: string
/** Answers of routes that show operators what they ask for are theirs to see. */
const call = async (url: string, options: Ask) => {
  const answer = await ask(url, options)
  if (answer.status >= 400)
    errorBodies.push(`${options.method ?? ''} ${url}: ${answer.text} ${JSON.stringify(answer.headers)}`)
  return answer
}

beforeAll(async () => {
  const adminToken = secret('admin token', newToken())
  const redis = await startPrivateRedis({
    args: ['--requirepass', secret('Redis password', 'Qw7pRedisPasswordOfThisTest9x')],
  })
  const password = 'Qw7pRedisPasswordOfThisTest9x'
  const issuer = await startIssuer()
  const ca = await authority('authority')
  const keyMaker = await startTransmitter({}, ['internal'])
  const prefix = 'redaction'
  server = await startProcess(
    {
      REDIS_URL: `redis://:${password}@127.0.0.1:${redis.port}`,
      KEY_PREFIX: prefix,
      KEYS_DIR: keyMaker.keysDir,
      ADMIN_TOKEN: adminToken,
      LOG_LEVEL: 'trace',
      OAUTH_ISSUER: issuer.issuer,
      OAUTH_AUDIENCE: AUDIENCE,
      TRUST_PROXY: '127.0.0.9',
      RATE_LIMIT_POLL: '0',
      RATE_LIMIT_ANONYMOUS: '0',
      SET_BYTES_MAX: '4096',
    },
    ['public', 'internal', 'workers'],
  )
  const internal = (method: string, path: string, options: Ask = {}) =>
    call(server.internalUrl + path, { method, token: adminToken, ...options })

  /** On a busy machine Redis may be late: then it is asked again, as any caller would. */
  const settled = (answered: () => Promise<Answered>) =>
    until(
      'an answer other than 503',
      async () => {
        const answer = await answered()
        return answer.status !== 503 && answer
      },
      15_000,
    )

  // Registry and credentials.
  const client = await ca.issue(`DNS:${mark('certificate name')}.example`)
  marks.set(
    'certificate',
    Buffer.from(client.cert.replace(/-----[^-]+-----|\s/g, ''), 'base64')
      .toString('base64')
      .slice(100, 130),
  )
  const description = mark('receiver description')
  const receiver = { id: 'r1', audience: 'https://r1.example', description, clients: [{ oauthClientId: 'c1' }] }
  for (let i = 0; i < 2; i++) await settled(() => internal('POST', '/v1/receivers', { body: receiver }))
  await internal('PATCH', '/v1/receivers/r1', {
    body: {
      description: mark('patched description'),
      owner: mark('owner'),
      clients: [...receiver.clients, { certSan: `${marks.get('certificate name')}.example` }],
    },
  })
  await internal('PATCH', '/v1/receivers/r1', {
    body: { [mark('unknown member')]: mark('value of an unknown member') },
  })
  const made = (
    await internal('POST', '/v1/tokens', {
      body: { scope: 'poll', receiver: 'r1', description: mark('token description') },
    })
  ).body
  const token = secret('poll token', made.token)
  const revoked = (await settled(() => internal('POST', '/v1/tokens', { body: { scope: 'poll', receiver: 'r1' } })))
    .body
  secret('revoked token', revoked.token)
  await internal('DELETE', `/v1/tokens/${revoked.tokenId}`)
  await internal('DELETE', `/v1/tokens/${revoked.token}`)

  // Publishing, taken and refused.
  const event = (id: string, more: Record<string, unknown> = {}) => ({
    id,
    sub_id: { format: 'email', email: mark('subject', text => `${text}@example.com`) },
    events: { [TYPE]: { note: mark('event data'), [mark('event member')]: 1 } },
    ...more,
  })
  await settled(() => internal('POST', '/v1/events', { body: event('e1') }))
  await settled(() =>
    internal('POST', '/v1/events/batch', {
      body: { items: [event('e2'), event('e3'), { bad: mark('faulty event') }] },
    }),
  )
  await internal('POST', '/v1/events', {
    body: event('e1', { events: { [TYPE]: { note: mark('conflicting data') } } }),
  })
  await internal('POST', '/v1/events', {
    body: event('e4', { sub_id: { format: 'email', email: mark('faulty subject') } }),
  })
  await internal('POST', '/v1/events', { body: event('e5', { receivers: ['r1', 'zqnobody'] }) })
  await internal('POST', '/v1/events', { body: event('e6', { events: { [TYPE]: { much: 'x'.repeat(5000) } } }) })
  await internal('POST', '/v1/events', { body: `{"id":"e7","sub":"${mark('broken JSON')}"` })
  const elsewhere = await foreignSet('elsewhere', 'https://r1.example')
  secret('SET issued elsewhere', elsewhere.split('.')[1] ?? '')
  const jwt = { headers: { 'content-type': 'application/secevent+jwt' } }
  await internal('POST', '/v1/receivers/r1/sets', { ...jwt, body: elsewhere })
  await internal('POST', '/v1/receivers/r1/sets', { ...jwt, body: `${elsewhere}x` })
  await internal('POST', '/v1/receivers/r1/sets', {
    ...jwt,
    body: await foreignSet('elsewhere', 'https://r1.example', 500),
  })

  // Polling, with every credential there is, good and bad.
  const pollUrl = `${server.publicUrl}/receivers/r1/poll`
  const poll = (options: Ask) => call(pollUrl, { body: NOW, ...options })
  const page = (await settled(() => poll({ token }))).body as { sets: Record<string, string> }
  const [jti = '', other = ''] = Object.keys(page.sets)
  for (const [i, set] of Object.values(page.sets).entries()) secret(`claims of SET ${i}`, set.split('.')[1] ?? '')
  for (const [i, set] of Object.values(page.sets).entries()) secret(`signature of SET ${i}`, set.split('.')[2] ?? '')
  await poll({
    token,
    body: { ...NOW, ack: [other], setErrs: { [jti]: { err: 'jws', description: mark('reported description') } } },
  })
  await poll({ token, body: { ...NOW, setErrs: { [jti]: { err: 7, description: mark('refused description') } } } })
  await poll({ token, body: { ack: [mark('unknown jti')], ...NOW, [mark('unknown member of a poll')]: 1 } })
  await poll({ token, body: `{"ack":["${mark('broken poll')}"]` })
  await poll({ token: revoked.token })
  await poll({ token: secret('made-up token', newToken()) })
  await poll({ token: secret('mistyped token', `${token.slice(0, -1)}!`) })
  await poll({ token: secret('delivered SET as a token', Object.values(page.sets)[0] ?? '') })
  await poll({ token: secret('access token', await issuer.accessToken({ sub: mark('subject of an access token') })) })
  await poll({
    token: secret('bad access token', await issuer.accessToken({ aud: 'x', sub: mark('subject of a bad one') })),
  })
  await poll({ headers: { authorization: `Basic ${Buffer.from(`u:${mark('password')}`).toString('base64')}` } })
  const header = `:${client.cert.replace(/-----[^-]+-----|\s/g, '')}:`
  for (const localAddress of ['127.0.0.9', '127.0.0.1'])
    await poll({ localAddress, headers: { 'client-cert': header } })
  await call(`${pollUrl}?access_token=${secret('token in a query', newToken())}`, { body: NOW })
  await call(`${pollUrl}?access_token=${marks.get('token in a query')}`, { token, body: NOW })
  await poll({
    token,
    headers: { cookie: mark('cookie'), 'x-note': mark('header'), 'content-language': mark('language') },
  })
  await call(`${server.publicUrl}/${mark('path')}`, { body: NOW })
  await call(`${server.publicUrl}/receivers/${mark('receiver in a path')}/poll`, { token, body: NOW })
  await call(`${server.publicUrl}/%${mark('path that is none')}`, {})
  await call(`${server.internalUrl}/${mark('path of the internal listener')}`, {})

  // What operators do.
  for (const path of [
    '/v1/receivers',
    '/v1/tokens',
    '/v1/stats',
    '/v1/receivers/r1',
    '/v1/receivers/r1/stats',
    '/v1/receivers/r1/parked',
    '/v1/receivers/r1/errors',
    '/v1/receivers/r1/sets',
    `/v1/receivers/r1/sets/${jti}`,
  ]) {
    await internal('GET', path)
  }
  await internal('GET', `/v1/receivers/r1/sets/${mark('jti in a path')}`)
  await internal('GET', `/v1/receivers/r1/sets?state=${mark('state')}&cursor=${mark('cursor')}`)
  await internal('POST', '/v1/receivers/r1/parked/requeue', { body: { jtis: [mark('jti to requeue')] } })
  await internal('POST', '/v1/receivers/r1/replay', { body: { from: mark('time') } })
  await until('the report to be logged', () => server.lines.some(({ msg }) => msg === 'SET refused by its receiver'))

  // Redis that refuses: what was asked of it hangs on the error.
  const direct = connect({ password }, redis.url)
  await direct.config('SET', 'maxmemory', '1')
  expect((await internal('POST', '/v1/events', { body: event('oom') })).status).toBe(503)
  await direct.config('SET', 'maxmemory', '0')
  const { log } = keysFor(prefix).of('r1')
  await direct.rename(log, `${log}-aside`)
  await direct.set(log, 'not a stream')
  expect((await internal('POST', '/v1/events', { body: event('bug') })).status).toBe(500)
  await poll({ token, body: { ack: [mark('jti of a failure')], ...NOW } })
  await direct.del(log)
  await direct.rename(`${log}-aside`, log)
  await redis.kill()
  await internal('POST', '/v1/events', { body: event('away') })
  await poll({ token })
  await redis.start()
  await until('Redis', async () => (await ask(pollUrl, { token, body: NOW })).status === 200, 10_000)

  const { items } = (await internal('GET', '/v1/audit?limit=1000')).body
  audit = JSON.stringify(items)
  metrics = (await ask(`${server.opsUrl}/metrics`)).text
  const [keyFile = ''] = await readdir(keyMaker.keysDir)
  const privateKey = JSON.parse(await readFile(join(keyMaker.keysDir, keyFile), 'utf8'))
  secret('private key', privateKey.d)
  await issuer.stop()
  await server.terminate()
}, 60_000)

describe('nothing of what was planted is found', () => {
  const found = (text: string) => [...marks].filter(([, value]) => text.includes(value)).map(([what]) => what)

  it('in what the process wrote, at its most talkative', () => {
    expect(server.lines.length).toBeGreaterThan(10)
    expect(found(server.output())).toEqual([])
  })

  it('in metrics', () => {
    expect(metrics).toContain('setstream_sets_published_total')
    expect(found(metrics)).toEqual([])
  })

  it('in the audit log', () => {
    expect(audit).toContain('DELETE /v1/tokens/:tokenId')
    expect(found(audit)).toEqual([])
  })

  it('in answers that refuse', () => {
    expect(errorBodies.length).toBeGreaterThan(25)
    for (const body of errorBodies) {
      // The request line is ours, for whoever reads a failure of this test.
      const answer = body.slice(body.indexOf(': ') + 2)
      // A fault of a call is named by where it is; its value is not.
      expect(
        found(answer).filter(what => what !== 'unknown member'),
        body,
      ).toEqual([])
    }
  })

  it('and the search itself would have found it', () => {
    for (const [what, value] of marks) expect(value.length, what).toBeGreaterThan(5)
    expect(found(`x${marks.get('subject')}x`)).toEqual(['subject'])
  })
})
