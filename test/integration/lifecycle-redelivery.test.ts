/** In flight → owed again → in flight: what is not acknowledged within R comes again (design, section 6: lapse). */
import { Queue } from 'bullmq'
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const R = 60_000
const settings = { redeliverAfterMs: R }
const lab = await openLab()

describe('a SET that is in flight', () => {
  it('is not handed out again before R', async () => {
    const feed = await lab.feed({ settings })
    await feed.publish()
    await feed.pollNow()
    await feed.age(R - 5000)
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ inFlight: 1, owedAgain: 0 })
  })

  it('is handed out again after R by polling alone, byte for byte, with its attempts counted (guarantees 1 and 3)', async () => {
    const feed = await lab.feed({ settings })
    const jti = await feed.publish()
    const first = await feed.pollNow()
    for (const attempts of [2, 3]) {
      await feed.age(R)
      const again = await feed.pollNow()
      expect(again.sets).toEqual(first.sets)
      expect(await feed.locate(jti)).toMatchObject({ state: 'inFlight', attempts })
      await feed.check()
    }
    expect(await feed.stats()).toMatchObject({ delivered: 3, redelivered: 2, published: 1 })
  })

  it('is handed out to one poll at a time, however many processes ask at once', async () => {
    const feed = await lab.feed({ settings })
    const other = await lab.another()
    const jtis = await feed.publishMany(30)
    for (let round = 0; round < 3; round++) {
      const pages = await Promise.all(
        Array.from({ length: 10 }, (_, i) => feed.pollNow({ maxEvents: 5 }, i % 2 === 0 ? {} : { at: other })),
      )
      expect(pages.flatMap(page => page.jtis).toSorted()).toEqual(jtis.toSorted())
      await feed.age(R)
    }
  })

  it('comes with the next poll also where the walk through a long list had left it behind', async () => {
    const feed = await lab.feed({ settings })
    const first = await feed.publishMany(16)
    await feed.pollNow()
    await feed.publishMany(1)
    await feed.pollNow()
    // More than one step's worth is in flight now: this poll looks at the first sixteen, the next begins behind them.
    await feed.pollNow()
    await feed.age(R, first)
    expect((await feed.pollNow()).jtis).toEqual(first)
  })

  it('comes in steps when a whole long list lapsed at once, the oldest first', async () => {
    const feed = await lab.feed({ settings: { ...settings, pageMax: 1000 } })
    const jtis = await feed.publishMany(500)
    await feed.pollNow()
    await feed.age(R)
    const seen: string[] = []
    for (let polls = 0; seen.length < 500; polls++) {
      expect(polls, 'pages of a hundred').toBeLessThan(8)
      seen.push(...(await feed.pollNow({ maxEvents: 100 })).jtis)
    }
    expect(seen).toEqual(jtis)
    expect(await feed.check()).toMatchObject({ inFlight: 500 })
  })
})

describe('a worker', () => {
  it('makes owed again what has lapsed, and wakes the poll that waits for it', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 300 } })
    await lab.another({}, ['workers'])
    const jti = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([jti])
    const [held] = await feed.hold()
    expect((await held)?.jtis).toEqual([jti])
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ inFlight: 0, owedAgain: 0 })
  })

  it('does so when nobody polls at all, and leaves no job once nothing is in flight', async () => {
    const { feed: open, another, redis, prefix } = await openLab()
    const feed = await open({ settings: { redeliverAfterMs: 300 } })
    await another({}, ['workers'])
    const jtis = await feed.publishMany(3)
    await feed.pollNow()
    await until('all are owed again', async () => (await feed.stats()).owedAgain === 3)
    expect((await feed.check()).inFlight).toBe(0)
    expect((await feed.pollNow()).jtis).toEqual(jtis)
    await feed.ack(jtis)
    await until('no sweep is flagged', async () => (await redis.hget(feed.keys.counts, 'sweepAt')) === '0')
    const jobs = `{${prefix}:jobs}:redelivery`
    const left = async () => (await redis.zcard(`${jobs}:delayed`)) + (await redis.llen(`${jobs}:wait`))
    await until('no job is left', async () => (await left()) === 0)
  })

  it('has one delayed job a receiver, however many polls hand SETs out', async () => {
    const { feed: open, prefix, redis } = await openLab()
    const feeds = [await open({ settings }), await open({ settings })]
    for (const feed of feeds) {
      await feed.publishMany(20)
      await Promise.all(Array.from({ length: 10 }, () => feed.pollNow({ maxEvents: 2 })))
    }
    const delayed = `{${prefix}:jobs}:redelivery:delayed`
    await until('a job is there for each', async () => (await redis.zcard(delayed)) === 2)
  })

  it('next to another on the same data moves each SET once', async () => {
    const { feed: open, another, redis, prefix } = await openLab()
    const feed = await open({ settings: { redeliverAfterMs: R, maxAttempts: 2, parkAfterMs: 0, pageMax: 1000 } })
    const jtis = await feed.publishMany(2000)
    await feed.pollNow()
    await feed.pollNow()
    await feed.age(R)
    // Half of them are out of attempts: handed out twice.
    const twice = new Set((await feed.pollNow({ maxEvents: 1000 })).jtis)
    expect(twice.size).toBe(1000)
    await feed.age(R)
    await another({}, ['workers'])
    await another({}, ['workers'])
    const connection = redis.duplicate({ maxRetriesPerRequest: null })
    const queue = new Queue('redelivery', { connection, prefix: `{${prefix}:jobs}` })
    // Past the deduplication on purpose: eight walks at once.
    await queue.addBulk(Array.from({ length: 8 }, () => ({ name: 'receiver', data: { receiver: feed.id } })))
    await until('nothing is in flight', async () => (await feed.stats()).inFlight === 0)
    const { owedAgain, parked } = await feed.check()
    expect([owedAgain, parked]).toEqual([1000, 1000])
    const reasons = (await feed.admin('GET', '/parked?limit=1000')).body.items
    expect(new Set(reasons.map(({ jti }: { jti: string }) => jti))).toEqual(twice)
    expect(await redis.hget(feed.keys.counts, 'parked:attempts')).toBe('1000')
    expect(jtis).toHaveLength(2000)
    await queue.close()
    connection.disconnect()
  })
})
