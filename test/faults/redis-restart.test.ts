/** Redis restarted: held polls are told again, and nothing that was confirmed is lost (guarantee 5). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis({ args: ['--appendfsync', 'always'] })
const lab = await openLab({ REDIS_URL: server.url, POLL_WAIT_MS: '20000' })

describe('a restart of Redis', () => {
  it('leaves polls held, and what is published afterwards wakes them, in every process', async () => {
    const other = await lab.another()
    const feeds = [await lab.feed(), await lab.feed(), await lab.feed()]
    const held = []
    for (const feed of feeds) {
      held.push(...(await feed.hold()))
      held.push(...(await feed.hold({}, { at: other })))
    }
    await server.kill()
    await server.start()
    for (const feed of feeds) {
      await until('publishing works', async () => (await feed.tryPublish({ id: 'one' })).status === 202)
      await feed.publish('two')
    }
    // One SET may wake one poll with both; then the other one is still held.
    for (const feed of feeds) {
      const left = (await feed.stats()).heldPolls + (await feed.stats(other)).heldPolls
      for (let i = 0; i < left; i++) await feed.publish()
    }
    const answers = await Promise.all(held)
    expect(answers.every(({ status, jtis }) => status === 200 && jtis.length > 0)).toBe(true)
    for (const feed of feeds) await feed.check()
  })

  it('wakes a held poll for what another process published while this one was not told', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    // The connection is cut, as by a failover: what is told meanwhile is lost.
    await lab.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    const jti = await feed.publish()
    expect((await held)?.jtis).toEqual([jti])
  })

  it('at any moment loses no SET that was answered 202, and repeats make none twice', async () => {
    const feed = await lab.feed({ settings: { pageMax: 1000 } })
    const confirmed = new Map<string, string>()
    const ids = Array.from({ length: 400 }, (_, i) => `restart-${i}`)
    let killed: Promise<void> | undefined
    const publish = async (id: string) => {
      const { status, body } = await feed.tryPublish({ id })
      if (status !== 202) return
      confirmed.set(id, body.deliveries[0].jti)
      if (confirmed.size === 120) killed = server.kill()
    }
    const left = [...ids]
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let id = left.pop(); id !== undefined && killed === undefined; id = left.pop()) await publish(id)
      }),
    )
    await killed
    await server.start()
    await until('Redis is back', async () => (await feed.tryPublish({ id: 'restart-0' })).status === 202)
    const before = new Set((await feed.check()).states.keys())
    expect([...confirmed.values()].filter(jti => !before.has(jti))).toEqual([])
    // All again, with the same ids: none twice.
    for (const id of ids) expect((await feed.tryPublish({ id })).status).toBe(202)
    expect(await feed.check()).toMatchObject({ queued: ids.length })
  })
})
