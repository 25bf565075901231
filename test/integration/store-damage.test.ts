/** What another hand does to Redis: scripts, groups, keys and jobs that are gone. What is left is delivered. */
import { describe, expect, it } from 'vitest'
import { GROUP } from '../../src/store/keys.ts'
import { type Feed, openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const { redis } = lab

/** Every SET that polls bring until there is no more. */
async function drain(feed: Feed): Promise<string[]> {
  const seen: string[] = []
  for (let more = true; more; ) {
    const page = await feed.pollNow()
    expect(page.status).toBe(200)
    seen.push(...page.jtis)
    more = page.moreAvailable
  }
  return seen
}

describe('scripts that Redis has forgotten', () => {
  it('are sent again: publish, poll and acknowledge go on', async () => {
    const feed = await lab.feed()
    await feed.publish()
    const flush = () => redis.script('FLUSH')
    await flush()
    const jti = await feed.publish()
    await flush()
    expect(await drain(feed)).toContain(jti)
    await flush()
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
  })

  it('do not disturb a held poll', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    await redis.script('FLUSH')
    const jti = await feed.publish()
    expect((await held)?.jtis).toEqual([jti])
  })
})

describe('a consumer group that was destroyed', () => {
  it('is made again, and all that was not acknowledged is delivered, retained SETs aside', async () => {
    const feed = await lab.feed({ settings: { retainAckedMs: 3_600_000 } })
    const [acked, inFlight, queued] = await feed.publishMany(3)
    await feed.pollNow({ maxEvents: 2 })
    await feed.ack([acked as string])
    await redis.xgroup('DESTROY', feed.keys.log, GROUP)
    expect(await drain(feed)).toEqual([inFlight, queued])
    expect(await feed.check()).toMatchObject({ inFlight: 2, retained: 1 })
    await feed.ack([inFlight as string, queued as string])
    expect(await feed.check()).toMatchObject({ inFlight: 0, retained: 3 })
  })

  it('leaves what was parked among the dead letters', async () => {
    const feed = await lab.feed()
    const [reported, inFlight, queued] = await feed.publishMany(3)
    await feed.pollNow({ maxEvents: 2 })
    await feed.report([reported as string])
    await redis.xgroup('DESTROY', feed.keys.log, GROUP)
    expect((await feed.admin('POST', '/parked/requeue', { all: true })).body).toEqual({ moved: 0, remaining: 1 })
    expect((await feed.admin('DELETE', '/parked', { all: true })).body).toEqual({ moved: 0, remaining: 1 })
    expect(await drain(feed)).toEqual([inFlight, queued])
    expect((await feed.check()).states.get(reported as string)).toBe('parked')
    expect(await feed.locate(reported as string)).toMatchObject({ reason: 'reported', attempts: 1 })
    expect((await feed.admin('POST', '/parked/requeue', { all: true })).body).toEqual({ moved: 1, remaining: 0 })
    expect(await drain(feed)).toEqual([reported])
    await feed.ack([reported as string])
    expect(await feed.check()).toMatchObject({ inFlight: 2, parked: 0 })
  })

  it('is made again by the poll that is held, and by acknowledgements, reports and replay', async () => {
    const feed = await lab.feed({ settings: { retainAckedMs: 3_600_000 } })
    const destroy = () => redis.xgroup('DESTROY', feed.keys.log, GROUP)
    const [held] = await feed.hold()
    await destroy()
    const first = await feed.publish()
    expect((await held)?.jtis).toEqual([first])
    await destroy()
    expect((await feed.pollNow({ ack: [first] })).status).toBe(200)
    await destroy()
    expect((await feed.pollNow({ setErrs: { [first]: { err: 'invalid_key' } } })).status).toBe(200)
    await drain(feed)
    await feed.ack([first])
    const second = await feed.publish()
    await destroy()
    expect((await feed.admin('POST', '/replay', { from: 0 })).status).toBe(200)
    const answer = await feed.poll()
    expect([...(answer.text.match(/"e[\w-]{22}"/g) ?? [])]).toHaveLength(answer.jtis.length)
    expect([...answer.jtis, ...(await drain(feed))].toSorted()).toEqual([first, second].toSorted())
    await feed.check()
  })

  it('is made again by a worker when nobody polls', async () => {
    const { feed: open, another, redis: own } = await openLab({ EXPIRE_AFTER_MS: '2000' })
    const feed = await open({ settings: { redeliverAfterMs: 300 } })
    await feed.publishMany(2)
    await feed.pollNow({ maxEvents: 1 })
    await own.xgroup('DESTROY', feed.keys.log, GROUP)
    await another({}, ['workers'])
    await until('both have expired', async () => (await feed.stats()).parked === 2, 10_000)
    await feed.check()
  })
})

describe('a log that was deleted', () => {
  it('under a held poll does not end it: what is published then is delivered', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    await redis.del(feed.keys.log)
    const jti = await feed.publish()
    expect((await held)?.jtis).toEqual([jti])
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0 })
  })

  it('leaves nothing behind that counts as held, once a poll has come by', async () => {
    const feed = await lab.feed({ settings: { backlogMax: 3 } })
    const jtis = await feed.publishMany(3)
    await feed.pollNow({ maxEvents: 1 })
    await redis.del(feed.keys.log)
    const answer = await feed.pollNow({ ack: jtis.slice(0, 1) })
    expect([answer.status, answer.jtis, answer.moreAvailable]).toEqual([200, [], false])
    expect(await feed.check()).toMatchObject({ queued: 0, bytes: 0 })
    expect(await feed.publish()).toBeDefined()
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })
})

describe('the hash of counts, when it was deleted', () => {
  it('takes nothing with it: order, delivery and gauges go on', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const before = await feed.publishMany(3)
    await feed.pollNow({ maxEvents: 1 })
    await redis.del(feed.keys.counts)
    expect(await feed.stats()).toMatchObject({ queued: 2, inFlight: 1 })
    const after = await feed.publishMany(3)
    expect(await drain(feed)).toEqual([...before.slice(1), ...after])
    await feed.age(1000)
    expect(await drain(feed)).toEqual([...before, ...after])
    await feed.ack([...before, ...after])
    expect(await feed.stats()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0, bytes: 0 })
    expect(await redis.xlen(feed.keys.log)).toBe(0)
  })

  it('does not make a repeated publish a second SET', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish('repeated')
    await drain(feed)
    await feed.ack([jti])
    await redis.del(feed.keys.counts)
    expect((await feed.tryPublish({ id: 'repeated' })).body.deliveries[0]).toMatchObject({ jti, status: 'duplicate' })
    expect(await drain(feed)).toEqual([])
  })

  it('does not let two entries have one id, even within the millisecond', async () => {
    const feed = await lab.feed()
    for (let round = 0; round < 20; round++) {
      await Promise.all([feed.publish(), redis.del(feed.keys.counts), feed.publish()])
    }
    expect(await redis.xlen(feed.keys.log)).toBe(40)
    expect((await drain(feed)).length).toBe(40)
  })
})

describe('the jobs, when they were deleted', () => {
  it('are asked for again, and at once, by a poll that finds the sweep overdue', async () => {
    const { feed: open, another, redis: own, prefix } = await openLab()
    const feed = await open({ settings: { redeliverAfterMs: 3000 } })
    const jti = await feed.publish()
    await feed.pollNow()
    const delayed = `{${prefix}:jobs}:redelivery:delayed`
    await until('the job is there', async () => (await own.zcard(delayed)) === 1)
    for (const key of await own.keys(`{${prefix}:jobs}*`)) await own.del(key)
    // As long after: overdue. The poll is held already when it would have lapsed.
    const sweepAt = Number(await own.hget(feed.keys.counts, 'sweepAt'))
    await own.hset(feed.keys.counts, 'sweepAt', sweepAt - 3_600_000)
    expect((await feed.pollNow({ maxEvents: 0 })).status).toBe(200)
    await feed.age(3000)
    // Only now: a sweep that came before it lapsed would leave it to the next, after R.
    await another({}, ['workers'])
    await until('it is owed again', async () => (await feed.stats()).owedAgain === 1, 2000)
    expect(await drain(feed)).toEqual([jti])
  })

  it('are not needed by a receiver that polls', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const jti = await feed.publish()
    await feed.pollNow()
    for (const key of await redis.keys(`{${lab.prefix}:jobs}*`)) await redis.del(key)
    await feed.age(1000)
    expect(await drain(feed)).toEqual([jti])
  })
})

describe('an entry that was deleted by hand', () => {
  it('is passed over, in flight or owed again, and the others are delivered', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const [first, second, third, fourth] = await feed.publishMany(4)
    await feed.pollNow({ maxEvents: 3 })
    await feed.age(1000, [second as string])
    await feed.pollNow({ maxEvents: 0 })
    for (const jti of [first, second]) {
      await redis.xdel(feed.keys.log, (await redis.hget(feed.keys.ids, jti as string)) as string)
    }
    await feed.age(1000, [third as string])
    expect((await drain(feed)).toSorted()).toEqual([third, fourth].toSorted())
    await feed.ack([third as string, fourth as string])
    await feed.age(1000)
    await drain(feed)
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0 })
  })

  it('with all others that lapse does not stop the poll that finds it', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const jtis = await feed.publishMany(2)
    await feed.pollNow()
    await feed.age(1000)
    for (const jti of jtis) await redis.xdel(feed.keys.log, (await redis.hget(feed.keys.ids, jti)) as string)
    expect(await feed.pollNow()).toMatchObject({ status: 200, jtis: [] })
    const jti = await feed.publish()
    expect(await drain(feed)).toEqual([jti])
    expect(await feed.check()).toMatchObject({ queued: 0, owedAgain: 0 })
  })
})
