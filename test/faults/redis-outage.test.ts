/** Redis away: 503 with Retry-After within two seconds, never an empty 200, and recovery by itself (D-25). */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Answer, callAdmin, openLab } from '../support/feed.ts'
import { startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis()
const lab = await openLab({ REDIS_URL: server.url })
const feed = await lab.feed({ settings: { pollWaitMs: 20_000 } })
const WITHIN_MS = 2000

async function refused(what: string, call: () => Promise<Answer>): Promise<void> {
  const startedAt = performance.now()
  const { status, headers, text } = await call()
  const tookMs = performance.now() - startedAt
  expect([what, status, text.includes('ECONN'), Number(headers.get('retry-after')) > 0]).toEqual([
    what,
    503,
    false,
    true,
  ])
  expect(tookMs, what).toBeLessThan(WITHIN_MS)
}

async function everyCallIsRefused(): Promise<void> {
  await Promise.all([
    refused('a poll', () => feed.pollNow()),
    refused('a long poll', () => feed.poll()),
    refused('an acknowledgement', () => feed.pollNow({ ack: ['x'], maxEvents: 0 })),
    refused('an event', () => feed.tryPublish({ id: 'away' })),
    refused('an event for all', () =>
      callAdmin(lab.transmitter, 'POST', '/v1/events', { id: 'away', events: { 'urn:x': {} } }),
    ),
    refused('a look', () => feed.admin('GET', '/stats')),
    refused('a change', () => feed.admin('PATCH', '', { description: 'new' })),
  ])
  expect((await fetch(`${lab.transmitter.publicUrl}/livez`)).status).toBe(200)
  expect((await fetch(`${lab.transmitter.publicUrl}/readyz`)).status).toBe(200)
}

async function recovers(): Promise<void> {
  const id = randomUUID()
  const jti = await until('publishing works again', async () => {
    const { status, body } = await feed.tryPublish({ id })
    return status === 202 && body.deliveries[0].jti
  })
  await until('the SET is delivered', async () => (await feed.pollNow()).jtis.includes(jti))
}

describe('while Redis is down', () => {
  beforeEach(recovers)

  it('every call is 503 within two seconds, the process lives, and goes on when Redis is back', async () => {
    await server.kill()
    await everyCallIsRefused()
    await server.start()
    await recovers()
  })

  it('the same holds while Redis takes connections and answers nothing', async () => {
    server.freeze()
    await everyCallIsRefused()
    // Once more, when nothing that was cached is trusted any more.
    await everyCallIsRefused()
    server.thaw()
    await recovers()
  })

  it('a held poll whose time ends is 503, since nobody knows what there is', async () => {
    const short = await lab.feed({ settings: { pollWaitMs: 1500 } })
    const [held] = await short.hold()
    await server.kill()
    const answer = await held
    expect([answer?.status, answer?.headers.has('retry-after')]).toEqual([503, true])
    await server.start()
  })

  it('a process starts all the same, and is ready once Redis is there', async () => {
    await server.kill()
    const early = await lab.another()
    expect((await fetch(`${early.publicUrl}/readyz`)).status).toBe(503)
    await refused('an event', () => feed.tryPublish({ id: 'early' }, early))
    await server.start()
    await until('it is ready', async () => (await fetch(`${early.publicUrl}/readyz`)).status === 200)
    const jti = await feed.publish()
    await until('it serves', async () => (await feed.pollNow({}, { at: early })).jtis.includes(jti))
  })
})
