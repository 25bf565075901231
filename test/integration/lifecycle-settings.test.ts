/** Settings of a receiver: over the defaults of a process, and changed on every process without a restart. */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab({ PAGE_MAX: '4' })
const other = await lab.another()

describe('a setting', () => {
  it('counts at once on the process that changed it, and within a second on every other', async () => {
    const feed = await lab.feed()
    await feed.publishMany(1000)
    expect((await feed.pollNow()).jtis).toHaveLength(4)
    expect((await feed.pollNow({}, { at: other })).jtis).toHaveLength(4)
    await feed.patch({ settings: { pageMax: 1 } })
    expect((await feed.pollNow()).jtis).toHaveLength(1)
    await until('it counts there', async () => (await feed.pollNow({}, { at: other })).jtis.length === 1, 1500)
    await feed.patch({ settings: { pageMax: null } }, other)
    expect((await feed.pollNow({}, { at: other })).jtis).toHaveLength(4)
    await until('it counts here', async () => (await feed.pollNow()).jtis.length === 4, 1500)
  })

  it('such as a shorter wait bounds polls that begin later', async () => {
    const feed = await lab.feed()
    await feed.patch({ settings: { pollWaitMs: 200 } })
    const startedAt = performance.now()
    expect((await feed.poll()).jtis).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(3000)
  })

  it('such as a longer backlog opens a full receiver', async () => {
    const feed = await lab.feed({ settings: { backlogMax: 1 } })
    await feed.publish()
    expect((await feed.tryPublish({ id: 'next' }, other)).status).toBe(429)
    await feed.patch({ settings: { backlogMax: 2 } })
    await until('it is open there', async () => (await feed.tryPublish({ id: 'next' }, other)).status === 202, 1500)
  })

  it('such as a shorter redeliverAfterMs counts for what is in flight already, and for polls already held', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 3_600_000 } })
    await lab.another({}, ['workers'])
    const jti = await feed.publish()
    await feed.pollNow()
    const [here] = await feed.hold()
    await feed.patch({ settings: { redeliverAfterMs: 300 } }, other)
    expect((await here)?.jtis).toEqual([jti])
  })

  it('counts for held polls also when no worker runs, as soon as it has reached their process', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 3_600_000 } })
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.age(10_000)
    const [there] = await feed.hold({}, { at: other })
    await feed.patch({ settings: { redeliverAfterMs: 10_000 } })
    expect((await there)?.jtis).toEqual([jti])
  })
})
