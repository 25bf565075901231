/** A worker killed in the middle of a sweep: each SET is in one state, and polls or another worker go on. */
import { describe, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'
import { fillPending, pendingCounts } from '../support/pending.ts'
import { until } from '../support/until.ts'

const COUNT = 30_000
const R = 1000
const lab = await openLab({ REDELIVER_AFTER_MS: String(R) })

/** One with a long list to walk, and a worker killed in the middle of the walk. */
async function afterTheKill(settings: object): Promise<Feed> {
  const feed = await lab.feed({ settings: { pageMax: 1000, ...settings } })
  await fillPending(lab.redis, feed.keys, COUNT, R)
  const doomed = await lab.spawn(['workers'])
  // Asks for the sweep, and lapses a few itself.
  await feed.pollNow({ maxEvents: 0 })
  await until('the walk is under way', async () => {
    const { inflight = 0 } = await pendingCounts(lab.redis, feed.keys)
    return inflight < COUNT - 5000
  })
  await doomed.kill()
  const { inflight, due, parked } = await pendingCounts(lab.redis, feed.keys)
  expect(inflight, 'the walk was not over').toBeGreaterThan(0)
  expect((inflight ?? 0) + (due ?? 0) + (parked ?? 0)).toBe(COUNT)
  expect(await lab.redis.hlen(feed.keys.ids)).toBe(COUNT)
  return feed
}

describe('SIGKILL of a worker in the middle of a sweep', () => {
  it('leaves every SET to be delivered by polls alone', async () => {
    const feed = await afterTheKill({ redeliverAfterMs: R })
    // From now on long, so that what is handed out is not handed out twice in this test.
    await feed.patch({ settings: { redeliverAfterMs: 3_600_000 } })
    await feed.age(3_600_000)
    const seen = new Set<string>()
    for (let polls = 0; seen.size < COUNT; polls++) {
      expect(polls, 'pages of a thousand').toBeLessThan(COUNT / 1000 + 5)
      for (const jti of (await feed.pollNow()).jtis) seen.add(jti)
    }
    expect(await pendingCounts(lab.redis, feed.keys)).toMatchObject({ inflight: COUNT, due: 0 })
  })

  it('has another worker finish the walk, also one that had parked half of it', async () => {
    const feed = await afterTheKill({ maxAttempts: 1, parkAfterMs: 0 })
    await lab.another({}, ['workers'])
    await until('all are parked', async () => (await feed.stats()).parked === COUNT, 30_000)
    expect(await lab.redis.hlen(feed.keys.why)).toBe(COUNT)
    expect(await lab.redis.hget(feed.keys.counts, 'parked:attempts')).toBe(String(COUNT))
    expect(await pendingCounts(lab.redis, feed.keys)).toMatchObject({ inflight: 0, due: 0, parked: COUNT })
  }, 60_000)
})
