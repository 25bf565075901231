/** A receiver that is deleted: nothing of it stays but the mark that its id is used up. */
import { describe, expect, it } from 'vitest'
import { callAdmin, type Feed, openLab } from '../support/feed.ts'

const lab = await openLab()

async function keysOf(feed: Feed): Promise<string[]> {
  const found = new Set<string>()
  for await (const keys of lab.redis.scanStream({ match: `*{${feed.id}}*`, count: 1000 })) {
    for (const key of keys) found.add(key)
  }
  return [...found].toSorted()
}

/** One with every key a receiver can have. */
async function withEveryKey(): Promise<Feed> {
  const feed = await lab.feed({ settings: { retainAckedMs: 3_600_000, redeliverAfterMs: 60_000 } })
  const jtis = await feed.publishMany(4)
  await feed.pollNow({ maxEvents: 3 })
  await feed.ack(jtis.slice(0, 1))
  await feed.report(jtis.slice(1, 2))
  await lab.redis.hset(feed.keys.given, 'entry', '1')
  const { log, ids, why, errors, done0, acked, counts, receiver, given } = feed.keys
  expect(await keysOf(feed)).toEqual([log, ids, why, errors, done0, acked, counts, receiver, given].toSorted())
  return feed
}

describe('deleting a receiver', () => {
  it('removes all of its keys but the mark that its id is used up', async () => {
    const feed = await withEveryKey()
    expect((await feed.admin('DELETE', '?force=true')).status).toBe(204)
    expect(await keysOf(feed)).toEqual([feed.keys.receiver])
    expect(await lab.redis.hkeys(feed.keys.receiver)).toEqual(['deletedAt'])
  })

  it('is refused while it is not disabled, unless it is forced', async () => {
    const feed = await lab.feed()
    expect((await feed.admin('DELETE', '')).status).toBe(409)
    await feed.patch({ status: 'paused' })
    expect((await feed.admin('DELETE', '')).status).toBe(409)
    await feed.patch({ status: 'disabled' })
    expect((await feed.admin('DELETE', '')).status).toBe(204)
    expect((await feed.admin('DELETE', '')).status).toBe(404)
  })

  it('ends its held polls and every later one with 404, on every process', async () => {
    const other = await lab.another()
    const feed = await lab.feed()
    const [held] = await feed.hold()
    const [elsewhere] = await feed.hold({}, { at: other })
    await feed.admin('DELETE', '?force=true')
    expect([(await held)?.status, (await elsewhere)?.status]).toEqual([404, 404])
    expect((await feed.pollNow()).status).toBe(404)
    expect((await feed.pollNow({}, { at: other })).status).toBe(404)
  })

  it('makes it unknown to publishing, listing and looking, and its id is not given out again', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.admin('DELETE', '?force=true')
    expect((await feed.tryPublish({ id: 'late' })).status).toBe(400)
    for (const path of ['', '/stats', `/sets/${jti}`, '/parked', '/errors']) {
      expect([path, (await feed.admin('GET', path)).status]).toEqual([path, 404])
    }
    expect((await feed.admin('POST', '/parked/requeue', { all: true })).status).toBe(404)
    const again = { id: feed.id, audience: feed.audience }
    expect((await callAdmin(lab.transmitter, 'POST', '/v1/receivers', again)).status).toBe(409)
    expect(await keysOf(feed)).toEqual([feed.keys.receiver])
  })

  it('leaves the others as they were', async () => {
    const [gone, stays] = [await lab.feed(), await lab.feed()]
    const jti = await stays.publish()
    await gone.publish()
    await gone.admin('DELETE', '?force=true')
    expect((await stays.check()).states).toEqual(new Map([[jti, 'queued']]))
    expect((await stays.pollNow()).jtis).toEqual([jti])
  })

  it('has no key come back when a worker still has jobs about it', async () => {
    const { feed: open, another, redis } = await openLab()
    const feed = await open({ settings: { redeliverAfterMs: 300 } })
    const jtis = await feed.publishMany(4)
    await feed.pollNow()
    await feed.report(jtis.slice(0, 2))
    await feed.admin('DELETE', '?force=true')
    const worker = await another({}, ['workers'])
    const sentinel = await open({ settings: { redeliverAfterMs: 300 } })
    await sentinel.publish()
    await sentinel.pollNow()
    const [held] = await sentinel.hold()
    // Its sweep was asked for later than the ones about the deleted receiver.
    expect((await held)?.jtis).toHaveLength(1)
    await worker.stop()
    expect(await redis.keys(`*{${feed.id}}*`)).toEqual([feed.keys.receiver])
  })
})
