/** Every administrative act is told: who, from where, what, to what, when and with what result. And nothing secret. */
import { beforeAll, describe, expect, it } from 'vitest'
import { newToken } from '../../src/delivery/tokens.ts'
import { generateKey, listKeys } from '../../src/signing/key-lifecycle.ts'
import type { PublicKeyRecord } from '../../src/signing/key-record.ts'
import { keysFor } from '../../src/store/keys.ts'
import { type Ask, ask } from '../support/http.ts'
import { connect, startPrivateRedis, testPrefix } from '../support/redis.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

interface Entry {
  readonly id: string
  readonly at: string
  readonly who: string
  readonly from: string
  readonly what: string
  readonly target: string
  readonly status: number
  readonly note: string
}

const prefix = testPrefix()
let transmitter: TestTransmitter
beforeAll(async () => {
  transmitter = await startTransmitter({ KEY_PREFIX: prefix, TRUST_PROXY: '127.0.0.9', RETAIN_ACKED_MS: '60000' })
})

const call = (method: string, path: string, options: Ask = {}) =>
  ask(transmitter.internalUrl + path, { method, token: transmitter.adminToken, ...options })
const entries = async (query = '') =>
  (await transmitter.admin<{ items: Entry[]; next?: string }>('GET', `/v1/audit${query}`)).items
const last = async () => (await entries('?limit=1'))[0] as Entry

describe('an administrative act', () => {
  it.each<[string, string, string, unknown, number, string, string | RegExp]>([
    ['POST', '/v1/receivers', '', { id: 'r1', audience: 'a' }, 201, 'r1', ''],
    ['POST', '/v1/receivers', ' again', { id: 'r1', audience: 'a' }, 409, '', ''],
    ['POST', '/v1/receivers', ' wrongly', { id: 'R 1' }, 400, '', ''],
    [
      'PATCH',
      '/v1/receivers/r1',
      '',
      { status: 'paused', settings: { pageMax: 5 } },
      200,
      'r1',
      'status settings, status=paused',
    ],
    ['PATCH', '/v1/receivers/r2', ' unknown', { status: 'paused' }, 404, 'r2', ''],
    ['POST', '/v1/receivers/r1/parked/requeue', '', { all: true }, 200, 'r1', 'moved=0'],
    ['DELETE', '/v1/receivers/r1/parked', '', { all: true }, 200, 'r1', 'moved=0'],
    ['POST', '/v1/receivers/r1/replay', '', { from: 0 }, 200, 'r1', 'moved=0'],
    ['DELETE', '/v1/receivers/r1', ' enabled', undefined, 409, 'r1', ''],
    ['DELETE', '/v1/receivers/r1', '?force=true', undefined, 204, 'r1', ''],
  ])('%s %s%s is told', async (method, path, variant, body, status, target, note) => {
    const query = variant.startsWith('?') ? variant : ''
    const beforeMs = Date.now()
    expect((await call(method, path + query, { body })).status).toBe(status)
    const what = `${method} ${path.replace(/\/r\d/, '/:id')}`
    const entry = await last()
    expect(entry).toMatchObject({ who: 'admin-token', from: '127.0.0.1', what, target, status, note })
    expect(Math.abs(Date.parse(entry.at) - beforeMs)).toBeLessThan(60_000)
  })

  it('with tokens is told by their ids', async () => {
    const { tokenId } = await transmitter.admin<{ tokenId: string }>('POST', '/v1/tokens', {
      scope: 'publish',
      producer: 'billing',
      foreign: true,
      expiresInSeconds: 60,
    })
    const note = 'scope=publish producer=billing foreign=true expiresInSeconds=60'
    expect(await last()).toMatchObject({ what: 'POST /v1/tokens', target: tokenId, status: 201, note })
    await call('DELETE', `/v1/tokens/${tokenId}`)
    expect(await last()).toMatchObject({ what: 'DELETE /v1/tokens/:tokenId', target: tokenId, status: 204 })
  })

  it('that was refused for want of scope is told, with who tried', async () => {
    const { token, tokenId } = await transmitter.admin<{ token: string; tokenId: string }>('POST', '/v1/tokens', {
      scope: 'read',
    })
    await call('DELETE', '/v1/receivers/r9', { token })
    expect(await last()).toMatchObject({ who: tokenId, what: 'DELETE /v1/receivers/:id', target: 'r9', status: 403 })
  })

  it('is told with the address of the client behind a trusted proxy', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.5' }
    await call('DELETE', '/v1/receivers/r9', { headers, localAddress: '127.0.0.9' })
    expect(await last()).toMatchObject({ from: '203.0.113.5' })
    await call('DELETE', '/v1/receivers/r9', { headers, localAddress: '127.0.0.8' })
    expect(await last()).toMatchObject({ from: '127.0.0.8' })
  })

  it('holds no token, wherever one was put by mistake', async () => {
    const token = newToken()
    await call('DELETE', `/v1/tokens/${token}`)
    expect(await last()).toMatchObject({ target: '(not a name)', status: 404 })
    await call('PATCH', `/v1/receivers/${token}`, { body: { description: token, [token]: 1 } })
    await call('POST', '/v1/tokens', { body: { scope: 'read', description: token } })
    expect(JSON.stringify(await entries('?limit=10'))).not.toContain(token.slice(4, 30))
  })
})

it('is told before it is answered', async () => {
  const server = await startPrivateRedis()
  const own = await startTransmitter({ REDIS_URL: server.url }, ['internal'])
  const redis = connect({}, server.url)
  await redis.client('PAUSE', 60_000, 'WRITE')
  let isAnswered = false
  const act = ask(`${own.internalUrl}/v1/receivers`, { token: own.adminToken, body: { id: 'R 1' } }).finally(() => {
    isAnswered = true
  })
  await until('its entry waits', async () => /flags=b .*cmd=xadd/.test(String(await redis.client('LIST'))))
  expect((await ask(`${own.internalUrl}/livez`)).status).toBe(200)
  expect(isAnswered).toBe(false)
  await redis.client('UNPAUSE')
  expect((await act).status).toBe(400)
  const { items } = await own.admin<{ items: Entry[] }>('GET', '/v1/audit')
  expect(items).toMatchObject([{ what: 'POST /v1/receivers', status: 400 }])
})

it('a change of the signing keys is told, though nobody called for it', async () => {
  const [current] = await listKeys(transmitter.keysDir)
  const made = await generateKey(transmitter.keysDir, 'ES256', Date.now())
  const entry = await until('the entry', async () =>
    (await entries('?limit=5')).find(({ what }) => what === 'keys changed'),
  )
  expect(entry).toMatchObject({ who: 'key files', from: '', target: '', status: 200 })
  for (const { kid, state } of [current, made] as PublicKeyRecord[])
    expect(entry.note).toContain(`${kid} ES256 ${state}`)
})

describe('the audit log', () => {
  it('holds neither reads, nor the traffic, nor what strangers try', async () => {
    const before = await last()
    const event = { events: { 'https://schemas.example/event/happened': {} } }
    await call('GET', '/v1/receivers')
    await call('POST', '/v1/events', { body: event })
    await call('POST', '/v1/events/batch', { body: { items: [event] } })
    await ask(`${transmitter.internalUrl}/v1/receivers/r1`, { method: 'DELETE' })
    await call('DELETE', '/v1/receivers/r1', { token: newToken() })
    expect(await last()).toEqual(before)
  })

  it('is read newest first, page by page, by administrators', async () => {
    const all = await entries('?limit=1000')
    expect(all.map(({ id }) => id)).toEqual([...all.map(({ id }) => id)].sort(byEntry))
    const paged: Entry[] = []
    let query = '?limit=3'
    for (;;) {
      const page = await transmitter.admin<{ items: Entry[]; next?: string }>('GET', `/v1/audit${query}`)
      paged.push(...page.items)
      if (page.next === undefined) break
      query = `?limit=3&cursor=${page.next}`
    }
    expect(paged).toEqual(all)
    const { token } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', { scope: 'read' })
    expect((await call('GET', '/v1/audit', { token })).status).toBe(403)
  })

  it.each(['DELETE', 'PUT', 'PATCH', 'POST'])('cannot be changed: %s', async method => {
    const length = await connect().xlen(keysFor(prefix).audit)
    expect((await call(method, '/v1/audit', { body: {} })).status).toBe(405)
    expect(await connect().xlen(keysFor(prefix).audit)).toBe(length)
  })
})

/** Newest first: milliseconds, then sequence. */
function byEntry(one: string, other: string): number {
  const [a = [], b = []] = [one, other].map(id => id.split('-').map(Number))
  return (b[0] ?? 0) - (a[0] ?? 0) || (b[1] ?? 0) - (a[1] ?? 0)
}
