/** The description of the interface is the interface: every route is in it, and what routes answer is as it says. */
import diagnostics from 'node:diagnostics_channel'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Feed, type Lab, openLab } from '../support/feed.ts'
import { foreignSet, HAPPENED } from '../support/foreign-set.ts'
import { Contract, type Description, type Exchange } from '../support/openapi.ts'

/** Pages for people: what they load is theirs. */
const PAGES = /^\/(docs|console)(\/|$)/

let lab: Lab
let description: Description
let contract: Contract
/** What each application serves, as Fastify has it. */
const applications: string[][] = []

function watchRoutes(message: unknown): void {
  const { fastify } = message as { fastify: FastifyInstance }
  const routes: string[] = []
  applications.push(routes)
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) routes.push(`${name} ${url.replace(/:(\w+)/g, '{$1}')}`)
  })
}

beforeAll(async () => {
  diagnostics.subscribe('fastify.initialization', watchRoutes)
  lab = await openLab({ RETAIN_ACKED_MS: '3600000', BACKLOG_MAX: '50' })
  diagnostics.unsubscribe('fastify.initialization', watchRoutes)
  const response = await fetch(`${lab.transmitter.internalUrl}/openapi.json`)
  expect(response.headers.get('content-type')).toContain('application/json')
  description = (await response.json()) as Description
  contract = new Contract(description)
})

afterAll(() => {
  lab.redis.disconnect()
})

describe('the description', () => {
  it('is valid OpenAPI 3.1', async () => {
    expect(description.openapi).toBe('3.1.0')
    const { valid, errors } = await new Validator().validate(
      structuredClone(description) as unknown as Record<string, unknown>,
    )
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  it('has every route of the public and the internal listener, and no other', () => {
    // Every listener tells whether the process is alive; what else is a Fastify application is for describing.
    const listeners = applications.filter(routes => routes.includes('GET /livez'))
    expect(listeners).toHaveLength(3)
    const served = listeners.flat().filter(route => {
      const [method = '', url = ''] = route.split(' ')
      return method !== 'HEAD' && !PAGES.test(url) && url !== '/metrics'
    })
    const described = contract.operations.map(({ method, path }) => `${method} ${path}`)
    expect([...new Set(served)].sort()).toEqual(described.sort())
  })

  it('names each operation once', () => {
    const ids = contract.operations.map(({ operationId }) => operationId)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('says where receivers poll, which is another listener', () => {
    const poll = description.paths['/receivers/{id}/poll']?.post as { servers?: { url: string }[] } | undefined
    expect(poll?.servers?.[0]?.url).toBe(lab.transmitter.issuer)
  })
})

describe('what is answered is as described', () => {
  const seen = new Set<string>()
  let feed: Feed

  interface Call {
    readonly body?: unknown
    readonly type?: string
    readonly token?: string
    readonly at?: 'public' | 'internal'
  }

  /** One call, checked against the description. @returns the body. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is the test's business.
  async function call(method: string, path: string, status: number, more: Call = {}): Promise<any> {
    const { body, type = 'application/json', token = lab.transmitter.adminToken, at = 'internal' } = more
    const base = at === 'public' ? lab.transmitter.publicUrl : lab.transmitter.internalUrl
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const exchange: Exchange = {
      method,
      path,
      requestType: body === undefined ? undefined : type,
      requestBody: body,
      status: response.status,
      type: response.headers.get('content-type')?.split(';', 1)[0],
      body: text === '' ? undefined : JSON.parse(text),
    }
    expect(contract.faults(exchange)).toEqual([])
    expect(response.status).toBe(status)
    seen.add(`${contract.find(method, path)?.operationId} ${status}`)
    return exchange.body
  }

  beforeAll(async () => {
    feed = await lab.feed()
  })

  it('about the process', async () => {
    await call('GET', '/livez', 200, { token: '' })
    await call('GET', '/readyz', 200, { token: '' })
    await call('GET', '/openapi.json', 200, { token: '' })
    await call('GET', '/.well-known/jwks.json', 200, { token: '', at: 'public' })
  })

  it('about receivers', async () => {
    const id = `${feed.id}-described`
    const everything = {
      id,
      audience: ['https://a.example', 'https://b.example'],
      description: 'Everything a receiver may have.',
      eventTypes: [HAPPENED],
      status: 'paused',
      owner: 'team-a',
      clients: [{ oauthClientId: 'client' }, { certSha256: 'ab'.repeat(32) }],
      settings: { pageMax: 10, signingAlg: 'ES256', sloMs: 5000 },
    }
    await call('POST', '/v1/receivers', 201, { body: everything })
    await call('POST', '/v1/receivers', 409, { body: everything })
    await call('POST', '/v1/receivers', 400, { body: { id: 'Not Valid', unknown: 1 } })
    await call('POST', '/v1/receivers', 415, { body: 'x', type: 'text/plain' })
    await call('GET', '/v1/receivers?limit=1', 200)
    await call('GET', '/v1/receivers?limit=0', 400)
    await call('GET', `/v1/receivers/${id}`, 200)
    await call('GET', '/v1/receivers/nobody', 404)
    await call('PATCH', `/v1/receivers/${id}`, 200, {
      body: { owner: null, settings: { pageMax: null, maxAttempts: 3 } },
      type: 'application/merge-patch+json',
    })
    await call('PATCH', '/v1/receivers/nobody', 404, { body: { status: 'enabled' } })
    await call('DELETE', `/v1/receivers/${id}`, 409)
    await call('DELETE', `/v1/receivers/${id}?force=true`, 204)
    await call('DELETE', `/v1/receivers/${id}`, 404)
  })

  it('about tokens', async () => {
    const made = await call('POST', '/v1/tokens', 201, {
      body: { scope: 'publish', producer: 'p', receivers: [feed.id], foreign: true, expiresInSeconds: 60 },
    })
    await call('POST', '/v1/tokens', 400, { body: { scope: 'poll' } })
    await call('GET', '/v1/tokens', 200)
    await call('GET', '/v1/tokens', 401, { token: '' })
    await call('GET', '/v1/tokens', 403, { token: made.token })
    await call('DELETE', `/v1/tokens/${made.tokenId}`, 204)
    await call('DELETE', `/v1/tokens/${made.tokenId}`, 404)
  })

  it('about events', async () => {
    const event = { id: 'one', receivers: [feed.id], events: { [HAPPENED]: { n: 1 } }, txn: 't', toe: 1_700_000_000 }
    await call('POST', '/v1/events', 202, { body: event })
    await call('POST', '/v1/events', 202, { body: event })
    await call('POST', '/v1/events', 409, { body: { ...event, events: { [HAPPENED]: { n: 2 } } } })
    await call('POST', '/v1/events', 400, { body: { events: {}, exp: 1 } })
    const items = [
      { ...event, id: 'two' },
      { ...event, id: 'one', txn: 'other' },
    ]
    await call('POST', '/v1/events/batch', 200, { body: { items } })
    await call('POST', '/v1/events/batch', 400, { body: { items: 1 } })
    const small = await lab.feed({ settings: { backlogMax: 1 } })
    const one = { receivers: [small.id], events: { [HAPPENED]: {} } }
    await call('POST', '/v1/events', 202, { body: one })
    await call('POST', '/v1/events', 429, { body: one })
    const set = { body: await foreignSet('elsewhere-1', feed.audience), type: 'application/secevent+jwt' }
    await call('POST', `/v1/receivers/${feed.id}/sets`, 202, set)
    await call('POST', `/v1/receivers/${feed.id}/sets`, 202, set)
    await call('POST', `/v1/receivers/${feed.id}/sets`, 400, { body: 'a.b.c', type: 'application/secevent+jwt' })
    await call('POST', '/v1/receivers/nobody/sets', 404, set)
  })

  it('about polls', async () => {
    const path = `/receivers/${feed.id}/poll`
    const asReceiver = { token: feed.token, at: 'public' } as const
    const { sets } = await call('POST', path, 200, { ...asReceiver, body: { maxEvents: 2, returnImmediately: true } })
    const [acked, refused] = Object.keys(sets)
    const setErrs = { [String(refused)]: { err: 'invalid_key', description: 'unknown' } }
    await call('POST', path, 200, { ...asReceiver, body: { ack: [acked], setErrs, returnImmediately: true } })
    await call('POST', path, 400, { ...asReceiver, body: { maxEvents: -1 } })
    await call('POST', path, 415, { ...asReceiver, body: 'x', type: 'text/plain' })
    await call('POST', path, 401, { ...asReceiver, body: {}, token: '' })
    await call('POST', '/receivers/nobody/poll', 404, { ...asReceiver, body: {} })
  })

  it('about SETs and what becomes of them', async () => {
    const queued = await feed.publish('queued')
    for (const state of ['queued', 'inFlight', 'owedAgain', 'parked', 'acknowledged']) {
      await call('GET', `/v1/receivers/${feed.id}/sets?state=${state}&limit=1`, 200)
    }
    await call('GET', `/v1/receivers/${feed.id}/sets?state=lost`, 400)
    const { items: parked } = await call('GET', `/v1/receivers/${feed.id}/parked`, 200)
    const { items: acknowledged } = await call('GET', `/v1/receivers/${feed.id}/sets?state=acknowledged`, 200)
    expect(parked).toHaveLength(1)
    expect(acknowledged).toHaveLength(1)
    for (const jti of [queued, parked[0].jti, acknowledged[0].jti]) {
      await call('GET', `/v1/receivers/${feed.id}/sets/${jti}`, 200)
    }
    await call('GET', `/v1/receivers/${feed.id}/sets/unheard-of`, 404)
    await call('GET', `/v1/receivers/${feed.id}/errors`, 200)
    const dead = `/v1/receivers/${feed.id}/parked`
    await call('POST', `${dead}/requeue`, 200, { body: { jtis: [parked[0].jti] } })
    await call('POST', `${dead}/requeue`, 400, { body: { all: false } })
    await call('DELETE', dead, 200, { body: { all: true } })
    await call('POST', `/v1/receivers/${feed.id}/replay`, 200, { body: { from: '2020-01-01T00:00:00Z' } })
    await call('POST', `/v1/receivers/${feed.id}/replay`, 400, { body: { from: 'soon' } })
    await call('GET', `/v1/receivers/${feed.id}/stats`, 200)
    await call('GET', '/v1/stats', 200)
    await call('GET', '/v1/receivers/nobody/stats', 404)
    await call('GET', '/v1/audit?limit=2', 200)
  })

  it('and nothing that is described as a success was left out', () => {
    const successes = contract.operations.flatMap(({ operationId, responses }) =>
      Object.keys(responses)
        .filter(status => status.startsWith('2'))
        .map(status => `${operationId} ${status}`),
    )
    expect(successes.filter(success => !seen.has(success))).toEqual([])
  })
})

describe('the pages', () => {
  it('are served with a policy under which only our own files run', async () => {
    const response = await fetch(`${lab.transmitter.internalUrl}/docs/`)
    expect(response.status).toBe(200)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    const page = await response.text()
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file as string)
    expect(files.length).toBeGreaterThan(3)
    for (const file of files) {
      expect(file).toMatch(/^\.\/|^\/docs\//)
      const answer = await fetch(new URL(file, response.url))
      expect(answer.status, file).toBe(200)
      await answer.body?.cancel()
    }
  })
})
