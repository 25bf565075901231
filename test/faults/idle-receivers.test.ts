/**
 * Receivers that do nothing cost nothing but a look of each snapshot for metrics: ten thousand beside a hundred busy ones, and
 * Redis sees no command for them.
 */
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { keysFor } from '../../src/store/keys.ts'
import { ReceiverStore } from '../../src/store/receiver-store.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { callAdmin, openLab } from '../support/feed.ts'
import { type Exposition, scrapedUntil } from '../support/metrics.ts'
import { commandsDuring } from '../support/monitor.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const IDLE = 10_000
const BUSY = 100
const FOR_MS = 4000
const server = await startPrivateRedis({ args: ['--appendonly', 'no'] })

/** Idle ones are subscribed to what nobody publishes. */
async function createIdle(redis: Redis, prefix: string): Promise<void> {
  const store = new ReceiverStore(redis, scriptsOn(redis), keysFor(prefix))
  const eventTypes = ['https://events.example/never']
  const ids = Array.from({ length: IDLE }, (_, i) => `idle-${i}`)
  await Promise.all(ids.map(id => store.create({ id, audience: `https://${id}.example`, eventTypes }, 1)))
}

describe('ten thousand idle receivers', () => {
  it('see no command while a hundred others publish, poll, wait, acknowledge and are redelivered to', async () => {
    // Snapshots for metrics ask after every receiver, each interval: what that costs is docs/operate.md's to say. The first
    // takes its time, and those receivers that there are when it begins.
    const env = { REDIS_URL: server.url, REDELIVER_AFTER_MS: '1000', METRICS_SNAPSHOT_MS: '600000' }
    const lab = await openLab(env, ['public', 'internal', 'workers'])
    const isOver = (found: Exposition) => found.value('setstream_snapshot_seconds') !== undefined
    await scrapedUntil('the first snapshot is over', lab.transmitter, isOver)
    await createIdle(connect({ replyMapping: 'legacy' }, server.url), lab.prefix)
    const type = 'https://events.example/busy'
    const feeds = await Promise.all(Array.from({ length: BUSY }, () => lab.feed({ eventTypes: [type] })))
    // The list of receivers is read once, at the first event that names none, and by the first pass of retention.
    const publish = (id: string) => callAdmin(lab.transmitter, 'POST', '/v1/events', { id, events: { [type]: {} } })
    expect((await publish('warm')).body.deliveries).toHaveLength(BUSY)
    const jobs = `{${lab.prefix}:jobs}:retention`
    await until('retention has passed once', async () => {
      const [delayed, active] = await Promise.all([
        lab.redis.zcard(`${jobs}:delayed`),
        lab.redis.llen(`${jobs}:active`),
      ])
      return delayed > 0 && active === 0
    })

    let delivered = 0
    const keepBusy = async () => {
      const endsAt = performance.now() + FOR_MS
      const busy = feeds.map(async (feed, i) => {
        let ack: readonly string[] = []
        while (performance.now() < endsAt) {
          const page = await feed.poll({ ack }, { headers: { prefer: 'wait=1' } })
          delivered += page.jtis.length
          // Every tenth forgets to acknowledge, so that workers have something to do.
          ack = i % 10 === 0 ? [] : page.jtis
        }
      })
      for (let n = 0; performance.now() < endsAt; n++) await publish(`busy-${n}`)
      await Promise.all(busy)
    }
    const commands = await commandsDuring(lab.prefix, keepBusy, { url: server.url, withScripts: true })

    expect(delivered).toBeGreaterThan(BUSY)
    expect(commands.some(args => args.some(arg => arg.includes(`{${feeds[0]?.id}}`)))).toBe(true)
    const aboutIdle = commands.filter(args => args.some(arg => /(^|[^a-z0-9])idle-\d/.test(arg)))
    expect(aboutIdle.slice(0, 5)).toEqual([])
  }, 60_000)
})
