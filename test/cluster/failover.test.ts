/** A cluster whose nodes change: failovers, killed masters, slots that move. Held polls are woken through all of it. */
import { afterAll, describe, expect, it } from 'vitest'
import { slotOf } from '../../src/store/topology.ts'
import { startCluster } from '../support/cluster.ts'
import { type Feed, openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const cluster = await startCluster()
afterAll(() => cluster.close())
const lab = await openLab({ REDIS_URL: cluster.url, POLL_WAIT_MS: '60000', CONNECTIONS_MAX: '100' })

const slotOfFeed = (feed: Feed) => slotOf(feed.keys.log)
const ownerOf = (feed: Feed) => cluster.ownerOf(slotOfFeed(feed))

/** As a producer does: the same id until it is taken. @returns its jti. */
async function publishUntilTaken(feed: Feed, id: string): Promise<string> {
  return until(
    `${id} is taken`,
    async () => {
      const { status, body } = await feed.tryPublish({ id })
      expect([202, 503]).toContain(status)
      return status === 202 && (body.deliveries[0].jti as string)
    },
    30_000,
  )
}

describe('a held poll', () => {
  it('is answered with what is published after its shard failed over', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    await cluster.failOver(await ownerOf(feed))
    const jti = await publishUntilTaken(feed, 'after the failover')
    expect((await held)?.jtis).toEqual([jti])
  })

  it('is answered with what is published after its slot moved to another node', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    const owner = await ownerOf(feed)
    const other = await cluster.ownerOf((slotOfFeed(feed) + 5461) % 16_384)
    expect(other).not.toBe(owner)
    await cluster.moveSlot(slotOfFeed(feed), other)
    const jti = await publishUntilTaken(feed, 'after the move')
    expect((await held)?.jtis).toEqual([jti])
    // And back again, within moments.
    const [again] = await feed.hold({ ack: [jti] })
    await cluster.moveSlot(slotOfFeed(feed), owner)
    const next = await publishUntilTaken(feed, 'after the move back')
    expect((await again)?.jtis).toEqual([next])
  })

  it('is answered with what is published after its master was killed', async () => {
    const feed = await lab.feed()
    const first = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([first])
    const [held] = await feed.hold({ ack: [first] })
    const owner = await ownerOf(feed)
    await owner.server.kill()
    const jti = await publishUntilTaken(feed, 'after the kill')
    expect((await held)?.jtis).toEqual([jti])
    await feed.ack([jti])
    await owner.server.start()
    await until(
      'the old master follows',
      async () => (await owner.redis.info('replication')).includes('link_status:up'),
      20_000,
    )
  })
})

describe('slots that move while SETs are published, fetched and acknowledged', () => {
  it('lose nothing, and nothing is delivered after its acknowledgement', async () => {
    const feeds = await Promise.all(Array.from({ length: 4 }, () => lab.feed()))
    const stopped = new AbortController()
    let producing = feeds.length
    const published = feeds.map(() => new Set<string>())
    const acked = feeds.map(() => new Set<string>())
    const work = feeds.map(async (feed, i) => {
      const produce = async () => {
        for (let n = 0; !stopped.signal.aborted; n++)
          published[i]?.add(await publishUntilTaken(feed, `${feed.id}-${n}`))
        producing -= 1
      }
      const receive = async () => {
        let ack: readonly string[] = []
        while (producing > 0 || (acked[i]?.size ?? 0) < (published[i]?.size ?? 0)) {
          const { status, jtis } = await feed.poll({ ack }, { headers: { prefer: 'wait=1' } })
          expect([200, 503]).toContain(status)
          if (status !== 200) continue
          for (const jti of ack) acked[i]?.add(jti)
          for (const jti of jtis) expect(acked[i]?.has(jti)).toBe(false)
          ack = jtis
        }
      }
      await Promise.all([produce(), receive()])
    })
    for (const feed of feeds) {
      const home = await ownerOf(feed)
      await cluster.moveSlot(slotOfFeed(feed), await cluster.ownerOf((slotOfFeed(feed) + 5461) % 16_384))
      await cluster.moveSlot(slotOfFeed(feed), home)
    }
    stopped.abort()
    await Promise.all(work)
    for (const [i, feed] of feeds.entries()) {
      expect(acked[i]).toEqual(published[i])
      expect(await feed.stats()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0, parked: 0 })
    }
  })
})

describe('a worker', () => {
  it('makes owed again what has lapsed after the node that holds the jobs failed over', async () => {
    const worker = await lab.another({}, ['workers'])
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1500 } })
    await cluster.failOver(await cluster.ownerOf(slotOf(`{${lab.prefix}:jobs}`)))
    const jti = await publishUntilTaken(feed, 'to lapse')
    await until('it is handed out', async () => (await feed.pollNow()).jtis.includes(jti), 10_000)
    await until('it is owed again', async () => (await feed.stats()).owedAgain === 1, 15_000)
    await worker.stop()
  })
})

describe('while no node answers', () => {
  it('requests are answered 503 within a few seconds, and held polls are woken once the nodes are back', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    for (const { server } of cluster.nodes) server.freeze()
    const startedAt = performance.now()
    expect((await feed.tryPublish({ id: 'frozen' })).status).toBe(503)
    expect((await feed.pollNow()).status).toBe(503)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    for (const { server } of cluster.nodes) server.thaw()
    const jti = await publishUntilTaken(feed, 'frozen')
    expect((await held)?.jtis).toEqual([jti])
  })

  it('they find their way when every node was restarted', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold()
    await Promise.all(cluster.nodes.map(({ server }) => server.kill()))
    expect((await feed.tryPublish({ id: 'all gone' })).status).toBe(503)
    await Promise.all(cluster.nodes.map(({ server }) => server.start()))
    const jti = await publishUntilTaken(feed, 'all gone')
    // Looked at before every node was back, it may have been told to come again.
    const answer = await held
    expect(answer?.status === 503 ? (await feed.pollNow()).jtis : answer?.jtis).toEqual([jti])
  })
})
