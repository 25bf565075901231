/** Paused, disabled, and enabled again (design, section 3; D-22). Status is read inside the scripts, never from a cache. */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const other = await lab.another()

describe('a paused receiver', () => {
  it('queues what is published, is answered as if nothing were available, and its acknowledgements count', async () => {
    const feed = await lab.feed()
    const [sent, reported] = [await feed.publish(), await feed.publish()]
    await feed.pollNow()
    await feed.patch({ status: 'paused' })
    const queued = await feed.publish()
    const answer = await feed.pollNow({ ack: [sent], setErrs: { [reported]: { err: 'invalid_key' } } })
    expect([answer.status, answer.jtis, answer.moreAvailable]).toEqual([200, [], false])
    expect((await feed.check()).states).toEqual(
      new Map([
        [reported, 'parked'],
        [queued, 'queued'],
      ]),
    )
    await feed.patch({ status: 'enabled' })
    expect((await feed.pollNow()).jtis).toEqual([queued])
  })

  it('is paused on every process from the moment the call is answered', async () => {
    const feed = await lab.feed()
    await feed.publish()
    await feed.patch({ status: 'paused' })
    expect((await feed.pollNow({}, { at: other })).jtis).toEqual([])
    await feed.patch({ status: 'enabled' }, other)
    expect((await feed.pollNow()).jtis).toHaveLength(1)
  })

  it('has its held polls left waiting by a publish, and answered when it is enabled again', async () => {
    const feed = await lab.feed()
    await feed.patch({ status: 'paused' })
    const [held] = await feed.hold({}, { at: other })
    const jti = await feed.publish()
    expect((await feed.stats(other)).heldPolls).toBe(1)
    await feed.patch({ status: 'enabled' })
    expect((await held)?.jtis).toEqual([jti])
  })

  it('has what is in flight owed again after R all the same', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    await feed.publish()
    await feed.pollNow()
    await feed.patch({ status: 'paused' })
    await feed.age(1000)
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ owedAgain: 1 })
  })
})

describe('a disabled receiver', () => {
  it('is skipped by publishing, and told so when it is named', async () => {
    const feed = await lab.feed()
    await feed.patch({ status: 'disabled' })
    const { status, body } = await feed.tryPublish({ id: 'skipped' })
    expect([status, body.deliveries]).toEqual([
      202,
      [{ receiver: feed.id, jti: expect.any(String), status: 'disabled' }],
    ])
    expect((await feed.tryPublish({ id: 'skipped' }, other)).body.deliveries[0].status).toBe('disabled')
    expect(await feed.check()).toMatchObject({ queued: 0 })
  })

  it('has all it still held parked with reason `disabled`, by the call that disables it', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const [owed, inFlight] = await feed.publishMany(2)
    await feed.pollNow()
    await feed.age(1000, [owed as string])
    await feed.pollNow({ maxEvents: 0 })
    const queued = await feed.publishMany(230)
    await feed.patch({ status: 'disabled' })
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0, parked: 232 })
    const { items } = (await feed.admin('GET', '/parked?reason=disabled&limit=1000')).body
    expect(items.map(({ jti }: { jti: string }) => jti)).toEqual([owed, inFlight, ...queued])
    expect(await lab.redis.hget(feed.keys.counts, 'parked:disabled')).toBe('232')
  })

  it('answers polls as if nothing were available, and takes acknowledgements of what it was sent', async () => {
    const feed = await lab.feed()
    const [sent, unsent] = await feed.publishMany(2)
    await feed.pollNow({ maxEvents: 1 })
    await feed.patch({ status: 'disabled' })
    const answer = await feed.pollNow({ ack: [sent, unsent] })
    expect([answer.status, answer.jtis]).toEqual([200, []])
    expect((await feed.check()).states).toEqual(new Map([[unsent, 'parked']]))
  })

  it('gets back what was parked by requeue, once it is enabled again', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(3)
    await feed.patch({ status: 'disabled' })
    await feed.patch({ status: 'enabled' })
    expect((await feed.pollNow()).jtis).toEqual([])
    await feed.admin('POST', '/parked/requeue', { all: true })
    expect((await feed.pollNow()).jtis).toEqual(jtis)
    expect(await feed.check()).toMatchObject({ inFlight: 3 })
  })

  it('is parked by a worker when the process that disabled it died before it could', async () => {
    const { feed: open, another, redis } = await openLab({ EXPIRE_AFTER_MS: '3600000', RETAIN_ACKED_MS: '2000' })
    const feed = await open()
    await feed.publishMany(3)
    // What the call writes first.
    await redis.hset(feed.keys.receiver, 'status', 'disabled')
    await another({}, ['workers'])
    await until('all are parked', async () => (await feed.stats()).parked === 3, 10_000)
    await feed.check()
  })
})
