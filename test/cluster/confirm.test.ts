/** CONFIRM on a cluster: every shard has its own replicas to wait for, and what was confirmed outlives its master. */
import { afterAll, expect, it } from 'vitest'
import { slotOf } from '../../src/store/topology.ts'
import { type ClusterNode, startCluster } from '../support/cluster.ts'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const cluster = await startCluster({ args: ['--appendfsync', 'always'] })
afterAll(() => cluster.close())

it('replicated:1 waits for the replica of the shard, and the others go on', async () => {
  const lab = await openLab({ REDIS_URL: cluster.url, CONFIRM: 'replicated:1' })
  const feeds = await Promise.all(Array.from({ length: 8 }, () => lab.feed()))
  const owners = await Promise.all(feeds.map(({ keys }) => cluster.ownerOf(slotOf(keys.log))))
  const owner = owners[0] as ClusterNode
  const replica = await cluster.replicaOf(owner)
  replica.server.freeze()
  const answers = await Promise.all(feeds.map(feed => feed.tryPublish({ id: 'one' })))
  replica.server.thaw()
  for (const [i, { status }] of answers.entries()) expect(status).toBe(owners[i] === owner ? 503 : 202)
  for (const feed of feeds) {
    await until('it is confirmed', async () => (await feed.tryPublish({ id: 'one' })).status === 202, 10_000)
    expect((await feed.pollNow()).jtis).toHaveLength(1)
  }
})

it('what was confirmed is delivered after its master died, and what was acknowledged is not', async () => {
  const lab = await openLab({ REDIS_URL: cluster.url, CONFIRM: 'replicated:1' })
  const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
  const [first, second] = await feed.publishMany(2)
  expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([first])
  await feed.ack([first as string])
  const owner = await cluster.ownerOf(slotOf(feed.keys.log))
  await owner.server.kill()
  const found = await until(
    'its replica has taken over',
    async () => {
      const { status, jtis } = await feed.pollNow()
      expect([200, 503]).toContain(status)
      // Too few replicas are left to confirm a page: it is the old master that has to follow.
      if (status === 503 && owner.redis.status !== 'ready') await owner.server.start().catch(() => {})
      return status === 200 && jtis
    },
    30_000,
  )
  expect(found).toEqual([second])
}, 60_000)

it('fsynced is checked on every master', async () => {
  const lab = await openLab({ REDIS_URL: cluster.url, CONFIRM: 'fsynced' })
  const feed = await lab.feed()
  await feed.publish()
  const one = await cluster.ownerOf(0)
  await one.redis.config('SET', 'appendfsync', 'everysec')
  await expect(openLab({ REDIS_URL: cluster.url, CONFIRM: 'fsynced' })).rejects.toThrow(/appendfsync always/)
})
