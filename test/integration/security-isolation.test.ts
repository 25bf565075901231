/** One tenant's credentials, names and cursors, tried on everything of another: P-33, P-82, P-121, P-131, P-195, P-201. */
import { beforeAll, describe, expect, it } from 'vitest'
import { foreignSet } from '../support/foreign-set.ts'
import { type Answered, type Ask, ask } from '../support/http.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'

const E1 = 'https://schemas.example/event/happened'
const E2 = 'https://schemas.example/event/other'
const NOW = { returnImmediately: true }
/** In everything of B that nobody else may see. */
const MARK = 'b-only-mark'

let transmitter: TestTransmitter
let a: { pollUrl: string; token: string }
let b: { pollUrl: string; token: string }
/** What A was given. */
const credentials: Record<string, string> = {}
/** What B has: queued, in flight, parked, acknowledged and replayable. */
let jtis: string[]
let tokenId: string

const publish = (token: string, body: unknown) => ask(`${transmitter.internalUrl}/v1/events`, { token, body })
const event = (id: string, receiver: string) => ({
  id,
  receivers: [receiver],
  events: { [E1]: { note: MARK } },
  sub_id: { format: 'opaque', id: MARK },
})
const poll = async ({ pollUrl, token }: { pollUrl: string; token: string }, body: unknown = NOW) =>
  ask(pollUrl, { token, body })

beforeAll(async () => {
  transmitter = await startTransmitter({ RATE_LIMIT_POLL: '0', RETAIN_ACKED_MS: '600000' })
  a = await transmitter.addReceiver('a')
  b = await transmitter.addReceiver('b', { description: MARK })
  const make = async (input: Record<string, unknown>) => {
    const made = await transmitter.admin<{ token: string; tokenId: string }>('POST', '/v1/tokens', input)
    return made
  }
  const limits = { receivers: ['a'], eventTypes: [E1] }
  credentials.poll = a.token
  credentials.publish = (await make({ scope: 'publish', producer: 'pa', ...limits })).token
  credentials.foreign = (await make({ scope: 'publish', producer: 'pf', ...limits, foreign: true })).token
  tokenId = (await make({ scope: 'publish', producer: 'pb', description: MARK })).tokenId

  await transmitter.admin('POST', '/v1/events/batch', { items: ['b1', 'b2', 'b3', 'b4'].map(id => event(id, 'b')) })
  jtis = Object.keys((await poll(b, { ...NOW, maxEvents: 3 })).body.sets)
  const [acknowledged, refused] = jtis
  await poll(b, {
    ...NOW,
    maxEvents: 0,
    ack: [acknowledged],
    setErrs: { [refused ?? '']: { err: 'jws', description: MARK } },
  })
  const queued = await transmitter.admin<{ items: { jti: string }[] }>('GET', '/v1/receivers/b/sets?state=queued')
  jtis.push(queued.items[0]?.jti ?? '')
  expect(new Set(jtis).size).toBe(4)
})

/** Everything of B that an operator sees. */
async function stateOfB(): Promise<unknown> {
  const get = (path: string) => transmitter.admin('GET', path)
  const lists = ['queued', 'inFlight', 'owedAgain', 'parked', 'acknowledged'].map(state =>
    get(`/v1/receivers/b/sets?state=${state}`).then(({ items }) =>
      (items as { jti: string; attempts: number }[]).map(({ jti, attempts }) => [state, jti, attempts]),
    ),
  )
  const { oldestUnackedSeconds: _, ...stats } = await get('/v1/receivers/b/stats')
  const { items: tokens } = await get('/v1/tokens?limit=1000')
  return {
    stats,
    lists: await Promise.all(lists),
    record: await get('/v1/receivers/b'),
    errors: await get('/v1/receivers/b/errors'),
    tokens: (tokens as { tokenId: string }[]).map(token => token.tokenId),
  }
}

async function changesNothing(attack: () => Promise<void>): Promise<void> {
  const before = await stateOfB()
  await attack()
  expect(await stateOfB()).toEqual(before)
}

/** Status, headers and text, without what differs from one answer to the next. */
function seen({ status, headers, text }: Answered) {
  const { date: _date, 'x-request-id': _id, ...rest } = headers
  return { status, headers: rest, text }
}

interface Operation {
  readonly method: string
  readonly path: string
}

describe('every route that is described', () => {
  const bodies: Readonly<Record<string, unknown>> = {
    'POST /v1/receivers': { id: 'c', audience: 'c' },
    'PATCH /v1/receivers/{id}': { status: 'disabled' },
    'POST /v1/tokens': { scope: 'poll', receiver: 'b' },
    'POST /v1/receivers/{id}/parked/requeue': { all: true },
    'DELETE /v1/receivers/{id}/parked': { all: true },
    'POST /v1/receivers/{id}/replay': { from: 0 },
    'POST /v1/events': { id: 'x', receivers: ['b'], events: { [E1]: {} } },
    'POST /v1/events/batch': { items: [{ id: 'x', receivers: ['b'], events: { [E1]: {} } }] },
  }
  const OPEN = new Set(['/livez', '/readyz', '/.well-known/jwks.json', '/openapi.json', '/docs'])

  it('gives and does nothing for the credentials of another', async () => {
    const document = (await ask(`${transmitter.internalUrl}/openapi.json`)).body as { paths: Record<string, object> }
    const operations: Operation[] = Object.entries(document.paths)
      .filter(([path]) => !OPEN.has(path))
      .flatMap(([path, methods]) => Object.keys(methods).map(method => ({ method: method.toUpperCase(), path })))
    expect(operations.length).toBeGreaterThan(20)

    await changesNothing(async () => {
      for (const { method, path } of operations) {
        const isPoll = path.startsWith('/receivers/')
        const base = isPoll ? transmitter.publicUrl : transmitter.internalUrl
        const at = (id: string, jti: string) =>
          base + path.replace('{id}', id).replace('{jti}', encodeURIComponent(jti)).replace('{tokenId}', tokenId)
        const isSet = path.endsWith('/sets') && method === 'POST'
        const body = isPoll
          ? { ack: jtis, returnImmediately: true }
          : isSet
            ? await foreignSet('elsewhere-b', 'https://b.example')
            : bodies[`${method} ${path}`]
        for (const [name, token] of Object.entries(credentials)) {
          const options: Ask = {
            method,
            token,
            ...(body === undefined ? {} : { body }),
            ...(isSet ? { headers: { 'content-type': 'application/secevent+jwt' } } : {}),
          }
          const what = `${method} ${path} with ${name}`
          const answer = await ask(at('b', jtis[1] ?? ''), options)
          // A batch is answered item by item.
          const statuses =
            path === '/v1/events/batch' && answer.status === 200 ? [answer.body.results[0].status] : [answer.status]
          for (const status of statuses) expect([400, 403, 404], what).toContain(status)
          expect(answer.text, what).not.toContain(MARK)
          if (path.includes('{id}')) {
            const unknown = await ask(at('nobody', 'none'), options)
            expect(seen(answer), what).toEqual(seen(unknown))
          }
        }
      }
    })
  })
})

describe('the poll endpoint', () => {
  it('acknowledges and reports nothing of another receiver, and tells nothing about it (P-82, P-201)', async () => {
    await changesNothing(async () => {
      const errs = Object.fromEntries(jtis.map(jti => [jti, { err: 'jws' }]))
      const answers = [
        await poll(a, { ...NOW, ack: jtis }),
        await poll(a, { ...NOW, setErrs: errs }),
        await poll(a, { ...NOW, ack: ['none', ...jtis.map(() => 'none')] }),
        await poll(a, { ...NOW, setErrs: { none: { err: 'jws' } } }),
      ]
      for (const answer of answers) expect(seen(answer)).toEqual(seen(answers[0] as Answered))
    })
    expect((await transmitter.admin('GET', '/v1/receivers/a/errors')).items).toEqual([])
  })

  it.each([
    '/receivers/b/poll/',
    '/receivers/a/../b/poll',
    '/receivers/a%2F..%2Fb/poll',
    '/receivers/a/%2e%2e/b/poll',
    '/receivers/B/poll',
    '/receivers/b%00/poll',
    '/receivers/{b}/poll',
    '/receivers/%7Bb%7D/poll',
    '/receivers/a}:{b/poll',
    '//receivers/b/poll',
    '/receivers/a/poll/../../b/poll',
    '/receivers/a;b/poll',
    '/receivers/b?id=a',
  ])('is not reached by another by %s', async path => {
    await changesNothing(async () => {
      const answer = await rawPoll(path, { ack: jtis, returnImmediately: true })
      expect([400, 404]).toContain(answer.status)
      expect(answer.text).not.toContain(MARK)
    })
  })

  it.each([
    ['x-original-url', '/receivers/b/poll'],
    ['x-rewrite-url', '/receivers/b/poll'],
    ['x-http-method-override', 'DELETE'],
    ['x-forwarded-prefix', '/receivers/b'],
    ['host', 'b.example'],
    ['x-receiver', 'b'],
  ])('is not led to another by the header %s', async (name, value) => {
    await changesNothing(async () => {
      const { status, body } = await ask(a.pollUrl, {
        token: a.token,
        body: { ack: jtis, ...NOW },
        headers: { [name]: value },
      })
      expect([status, body]).toEqual([200, { sets: {} }])
    })
  })

  it('hands out of a shared event each receiver its own SET', async () => {
    await transmitter.admin('POST', '/v1/events', { id: 'both', events: { [E2]: {} }, receivers: ['a', 'b'] })
    const [ofA, ofB] = [(await poll(a)).body.sets, (await poll(b)).body.sets]
    const audiences = (sets: object) =>
      Object.values(sets).map(
        set => JSON.parse(Buffer.from(String(set).split('.')[1] ?? '', 'base64url').toString()).aud,
      )
    expect(audiences(ofA)).toEqual(['https://a.example'])
    expect(new Set(audiences(ofB))).toEqual(new Set(['https://b.example']))
    expect(Object.keys(ofB)).not.toContain(Object.keys(ofA)[0])
  })
})

/** As it is: an ordinary client would tidy the path up. */
function rawPoll(path: string, body: unknown): Promise<Answered> {
  const url = new URL(transmitter.publicUrl)
  return ask(url.origin, { method: 'POST', token: a.token, body, path })
}

const receiversIn = ({ body }: Answered) => body.deliveries.map(({ receiver }: { receiver: string }) => receiver)

describe('a publish token', () => {
  it('reaches the receivers it was given, and sees of others no more than of none', async () => {
    await changesNothing(async () => {
      const foreign = await publish(credentials.publish ?? '', event('p1', 'b'))
      const unknown = await publish(credentials.publish ?? '', event('p1', 'nobody'))
      expect(foreign.status).toBe(400)
      expect(seen(foreign)).toEqual(seen(unknown))
      // Nothing is applied for those that it may reach.
      const mixed = { ...event('p1', 'b'), receivers: ['a', 'b'] }
      expect((await publish(credentials.publish ?? '', mixed)).status).toBe(400)
      // The first may have to read who there is, the second knows.
      for (const id of ['p2', 'p2-again']) {
        const everywhere = await publish(credentials.publish ?? '', { id, events: { [E1]: {} } })
        expect(receiversIn(everywhere)).toEqual(['a'])
      }
    })
  })

  it('publishes the event types it was given, alone or among others', async () => {
    for (const events of [{ [E2]: {} }, { [E1]: {}, [E2]: {} }]) {
      const { status, headers } = await publish(credentials.publish ?? '', { id: 'p3', events })
      expect(status).toBe(403)
      expect(headers['www-authenticate']).toContain('insufficient_scope')
    }
  })

  it('never meets the ids of another producer, or of an administrator', async () => {
    const other = await transmitter.publishToken('pb')
    const made = new Set<string>()
    for (const token of [credentials.publish ?? '', other, transmitter.adminToken]) {
      const { status, body } = await publish(token, { ...event('shared', 'a') })
      expect(status).toBe(202)
      expect(body.deliveries[0].status).toBe('queued')
      made.add(body.deliveries[0].jti)
    }
    expect(made.size).toBe(3)
  })

  it('cannot be made for the producer of administrators', async () => {
    const { status } = await ask(`${transmitter.internalUrl}/v1/tokens`, {
      token: transmitter.adminToken,
      body: { scope: 'publish', producer: 'admin' },
    })
    expect(status).toBe(400)
  })

  it('appends SETs issued elsewhere only where it was given that right', async () => {
    const append = async (token: string, id: string, set: string) =>
      ask(`${transmitter.internalUrl}/v1/receivers/${id}/sets`, {
        token,
        headers: { 'content-type': 'application/secevent+jwt' },
        body: set,
      })
    const { publish: without = '', foreign: given = '' } = credentials
    const ofA = await foreignSet('elsewhere-a', 'https://a.example')
    expect((await append(without, 'a', ofA)).status).toBe(403)
    expect((await append(given, 'a', ofA)).status).toBe(202)
    await changesNothing(async () => {
      const ofB = await foreignSet('elsewhere-b', 'https://b.example')
      const [foreign, unknown] = [await append(given, 'b', ofB), await append(given, 'nobody', ofB)]
      expect(foreign.status).toBe(404)
      expect(seen(foreign)).toEqual(seen(unknown))
      // B's audience at A, and a jti that B has.
      expect((await append(given, 'a', ofB)).status).toBe(400)
      const same = await foreignSet(jtis[3] ?? '', 'https://a.example')
      expect((await append(given, 'a', same)).status).toBe(202)
    })
  })

  it.each(['verification', 'stream-updated'])('cannot publish the event %s of the framework itself', async name => {
    const type = `https://schemas.openid.net/secevent/ssf/event-type/${name}`
    for (const token of [credentials.publish ?? '', transmitter.adminToken]) {
      const { status, body } = await publish(token, { id: name, receivers: ['a'], events: { [type]: { state: 'x' } } })
      expect(status).toBe(400)
      expect(body.code).toBe('bad_request')
    }
    const set = await foreignSet('reserved', 'https://a.example', 0, type)
    const { status } = await ask(`${transmitter.internalUrl}/v1/receivers/a/sets`, {
      token: transmitter.adminToken,
      headers: { 'content-type': 'application/secevent+jwt' },
      body: set,
    })
    expect(status).toBe(400)
  })
})

describe('a cursor', () => {
  it('of one receiver shows nothing of it in the lists of another', async () => {
    const list = (path: string) => transmitter.admin<{ items: { jti: string }[]; next?: string }>('GET', path)
    for (const state of ['queued', 'inFlight', 'parked']) {
      const { next } = await list(`/v1/receivers/b/sets?state=${state}&limit=1`)
      if (next === undefined) continue
      const { items } = await list(`/v1/receivers/a/sets?state=${state}&cursor=${encodeURIComponent(next)}`)
      expect(items.filter(({ jti }) => jtis.includes(jti))).toEqual([])
    }
  })

  it.each(['x', '1', '(((', '99999999999999999999-0', '-', '+', '$', '1-1-1', '(1-', '%00', '*'])(
    'that no list gives out, such as %s, is refused or finds nothing',
    async cursor => {
      const paths = [
        'receivers',
        'tokens',
        'stats',
        'audit',
        'receivers/b/sets',
        'receivers/b/parked',
        'receivers/b/errors',
      ]
      for (const path of paths) {
        const url = `${transmitter.internalUrl}/v1/${path}?cursor=${encodeURIComponent(cursor)}`
        const { status } = await ask(url, { token: transmitter.adminToken })
        expect([200, 400], path).toContain(status)
      }
    },
  )

  it.each(['constructor', '__proto__', 'toString'])('and a state named %s is none', async state => {
    const url = `${transmitter.internalUrl}/v1/receivers/b/sets?state=${state}`
    expect((await ask(url, { token: transmitter.adminToken })).status).toBe(400)
  })
})
