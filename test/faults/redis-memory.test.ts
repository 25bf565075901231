/** Redis short of memory, or without any: publishing is held back, and what frees memory goes on. */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis({ args: ['--maxmemory-policy', 'noeviction'] })
const redis = connect({}, server.url)
const lab = await openLab({ REDIS_URL: server.url, MEMORY_HIGH_PERCENT: '70' })

async function used(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
}

/** Far enough over, that what Redis frees by itself meanwhile, such as buffers of clients, makes no room. */
const FULL_PERCENT = 150

async function fillTo(percent: number): Promise<void> {
  await redis.config('SET', 'maxmemory', Math.floor((await used()) / (percent / 100)))
}

describe('without memory', () => {
  it('publishing is refused and told when to come again; polls, acknowledgements and reports go on', async () => {
    const feed = await lab.feed()
    const [first, second, third] = await feed.publishMany(3)
    await fillTo(FULL_PERCENT)
    const refused = await feed.tryPublish({ id: 'refused' })
    expect([429, 503]).toContain(refused.status)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([first])
    expect((await feed.pollNow({ ack: [first], maxEvents: 1 })).jtis).toEqual([second])
    await feed.report([second as string])
    expect((await feed.pollNow()).jtis).toEqual([third])
    await feed.ack([third as string])
    expect((await feed.admin('DELETE', '/parked', { all: true })).status).toBe(200)
    await redis.config('SET', 'maxmemory', '0')
    await until('publishing works again', async () => (await feed.tryPublish({ id: 'refused' })).status === 202)
    expect(await feed.check()).toMatchObject({ queued: 1, inFlight: 0, parked: 0 })
  })

  it('a script that Redis has forgotten is no other failure', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await redis.script('FLUSH')
    await fillTo(FULL_PERCENT)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => feed.tryPublish({ id: `forgotten ${i}` })))
    for (const { status } of answers) expect([429, 503]).toContain(status)
    expect((await feed.pollNow()).jtis).toEqual([jti])
    await redis.config('SET', 'maxmemory', '0')
    await until('publishing works again', async () => (await feed.tryPublish({ id: 'forgotten 0' })).status === 202)
  })
})

describe('above MEMORY_HIGH_PERCENT', () => {
  it('the receivers that hold most get 429 and the others go on, until there is room again', async () => {
    const large = await lab.feed()
    const small = await lab.feed()
    for (let i = 0; i < 100; i++) await large.append(`large-${i}`, 60_000)
    await small.append('small', 20_000)
    await fillTo(75)
    const refused = await until('the large one is refused', async () => {
      const answer = await large.tryPublish({})
      return answer.status === 429 && answer
    })
    expect(refused.body.deliveries[0].status).toBe('full')
    for (let i = 0; i < 20; i++) expect((await small.tryPublish({})).status).toBe(202)
    const page = await large.pollNow({ maxEvents: 50 })
    expect((await large.pollNow({ ack: page.jtis, maxEvents: 0 })).status).toBe(200)
    await redis.config('SET', 'maxmemory', '0')
    await until('it is taken again', async () => (await large.tryPublish({})).status === 202)
  })
})
