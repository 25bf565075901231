/**
 * A cluster with nothing on the wire that is not TLS, between its nodes and to us. Its nodes are known by name, and their
 * certificates hold the name alone, as is usual where addresses come and go.
 */
import { afterAll, expect, it } from 'vitest'
import { slotOf } from '../../src/store/topology.ts'
import { authority, trust } from '../support/certificates.ts'
import { type ClusterNode, startCluster } from '../support/cluster.ts'
import { type Feed, openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const ca = await authority('authority of the cluster')
trust(ca)
const { certFile, keyFile } = await ca.issue('DNS:localhost')
const cluster = await startCluster({
  args: ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'],
  tls: { certFile, keyFile, caFile: ca.certFile },
})
afterAll(() => cluster.close())

it('SETs go from one process to another, on every shard, through a failover and a worker', async () => {
  expect(cluster.url).toMatch(/^rediss\+cluster:\/\/localhost:/)
  const env = { REDIS_URL: cluster.url, CONFIRM: 'replicated:1', POLL_WAIT_MS: '60000' }
  const lab = await openLab(env, ['internal', 'workers'])
  const at = await lab.spawn(['public', 'internal'], { NODE_EXTRA_CA_CERTS: ca.certFile })
  const feedOf = new Map<ClusterNode, Feed>()
  for (let i = 0; feedOf.size < 3 && i < 100; i++) {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1500 } })
    feedOf.set(await cluster.ownerOf(slotOf(feed.keys.log)), feed)
  }
  for (const feed of feedOf.values()) {
    const [held] = await feed.hold({}, { at })
    const jti = await feed.publish()
    expect((await held)?.jtis).toEqual([jti])
    await feed.ack([jti], { at })
  }

  // A failover where the jobs are takes longer, and is looked at elsewhere.
  feedOf.delete(await cluster.ownerOf(slotOf(`{${lab.prefix}:jobs}`)))
  const [[owner, feed]] = [...feedOf] as [[ClusterNode, Feed]]
  const [held] = await feed.hold({}, { at })
  await cluster.failOver(owner)
  const jti = await until(
    'it is taken',
    async () => {
      const { status, body } = await feed.tryPublish({ id: 'after the failover' })
      expect([202, 503]).toContain(status)
      return status === 202 && (body.deliveries[0].jti as string)
    },
    30_000,
  )
  expect((await held)?.jtis).toEqual([jti])
  await until('a worker makes it owed again', async () => (await feed.stats()).owedAgain === 1, 15_000)
  await feed.ack([jti], { at })
  expect((await feed.check()).queued).toBe(0)
}, 60_000)
