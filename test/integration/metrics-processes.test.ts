/** Several processes on one Redis: counts are summed, facts come from one of them, and polls held by all are known to each. */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { scrape, scrapedUntil } from '../support/metrics.ts'
import { startPrivateRedis, testPrefix } from '../support/redis.ts'
import type { TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const FACT = 'setstream_snapshot_timestamp_seconds'
const EVERY_MS = 200
const JOBS = { queue: 'retention', state: 'waiting' }
const env = { METRICS_SNAPSHOT_MS: String(EVERY_MS) }

const exports = async (transmitter: TestTransmitter) => (await scrape(transmitter)).value(FACT) !== undefined

async function whoExports(...transmitters: TestTransmitter[]): Promise<TestTransmitter> {
  return until('one exports', async () => {
    for (const transmitter of transmitters) if (await exports(transmitter)) return transmitter
    return undefined
  })
}

describe('facts of Redis', () => {
  it('are exported by one process at a time, and by another once that one has stopped', async () => {
    const lab = await openLab(env, ['internal', 'workers'])
    const second = await lab.another()
    const third = await lab.another()
    const all = [lab.transmitter, second, third]
    const first = await whoExports(...all)
    const rest = all.filter(transmitter => transmitter !== first)
    for (let i = 0; i < 20; i++) {
      const exporting = await Promise.all(all.map(exports))
      expect(exporting.filter(Boolean).length).toBeLessThanOrEqual(1)
    }
    await first.stop()
    const next = await whoExports(...rest)
    expect(await exports(rest.find(transmitter => transmitter !== next) as TestTransmitter)).toBe(false)
  })

  it('are left by a process whose lease another took, before the other can have it', async () => {
    const lab = await openLab(env, ['internal', 'workers'])
    await whoExports(lab.transmitter)
    // As when this process was held up for longer than its lease lasts.
    await lab.redis.set(`${lab.prefix}:snapshot-lease`, 'another process', 'PX', 10_000)
    await until('it exports no more', async () => !(await exports(lab.transmitter)))
    await lab.redis.del(`${lab.prefix}:snapshot-lease`)
    await whoExports(lab.transmitter)
  })

  it('are left to a worker at first, and exported by any process where there is none', async () => {
    const lab = await openLab({ METRICS_SNAPSHOT_MS: '60000' }, ['internal'])
    const worker = await lab.another(env, ['workers'])
    expect(await whoExports(lab.transmitter, worker)).toBe(worker)
    await worker.stop()
    const other = await lab.another(env, ['internal'])
    expect(await whoExports(lab.transmitter, other)).toBe(other)
  })

  it('are exported without those of jobs where these cannot be counted', async () => {
    const server = await startPrivateRedis()
    const prefix = testPrefix()
    const lab = await openLab({ ...env, REDIS_URL: server.url, KEY_PREFIX: prefix }, ['internal'])
    await until(
      'all are exported',
      async () => (await scrape(lab.transmitter)).value('setstream_jobs', JOBS) !== undefined,
    )
    await lab.transmitter.stop()
    // Keys of jobs begin with a brace.
    await lab.redis.call('ACL', 'SETUSER', 'somebody', 'on', '>password', '+@all', '&*', `~${prefix}:*`)
    const url = server.url.replace('redis://', 'redis://somebody:password@')
    const other = await lab.another({ REDIS_URL: url })
    await until('it exports', () => exports(other))
    expect((await scrape(other)).value('setstream_jobs', JOBS)).toBeUndefined()
  })

  it('fold receivers beyond METRICS_RECEIVERS_MAX into one, worst first', async () => {
    const lab = await openLab({ ...env, METRICS_RECEIVERS_MAX: '2' }, ['public', 'internal', 'workers'])
    const idle = [await lab.feed(), await lab.feed({ status: 'paused' })]
    const old = await lab.feed({ settings: { sloMs: 5000 } })
    await old.publishMany(3)
    const busy = await lab.feed()
    await busy.publishMany(2)
    const found = await scrapedUntil(
      'all are in the snapshot',
      lab.transmitter,
      found =>
        found.value('setstream_receivers') === 4 && found.value('setstream_queued_sets', { receiver: busy.id }) === 2,
    )
    const series = found.all('setstream_queued_sets').map(({ labels, value }) => [labels.receiver, value])
    expect(series).toEqual([
      [old.id, 3],
      [busy.id, 2],
      ['other', 0],
    ])
    for (const status of ['enabled', 'paused']) {
      expect(found.value('setstream_receiver_status', { receiver: 'other', status }), status).toBe(1)
    }
    for (const { id } of idle) expect(found.all('setstream_parked_sets', { receiver: id })).toEqual([])
  })
})

describe('a scrape', () => {
  it('reads memory alone', async () => {
    // A server of its own: those of other files ask the shared one as much.
    const server = await startPrivateRedis()
    const lab = await openLab({ ...env, REDIS_URL: server.url }, ['internal', 'workers'])
    await whoExports(lab.transmitter)
    const commands = async () => {
      const stats = await lab.redis.info('commandstats')
      return Number(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    const feed = await lab.feed()
    await scrapedUntil('it is known', lab.transmitter, found => found.all('setstream_queued_sets').length === 1)
    await feed.publish()
    const before = await commands()
    await Promise.all(Array.from({ length: 100 }, () => scrape(lab.transmitter)))
    // The snapshots that fell into this time read one receiver each; a scrape that read would add a hundred.
    expect((await commands()) - before).toBeLessThan(90)
  })
})

describe('an idle receiver', () => {
  it('is not counted again as long as nothing happens to it', async () => {
    const server = await startPrivateRedis()
    const lab = await openLab({ ...env, REDIS_URL: server.url }, ['public', 'internal'])
    const calls = async (command: string) => {
      const stats = await lab.redis.info('commandstats')
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
    }
    const feed = await lab.feed()
    await scrapedUntil('it is known', lab.transmitter, found => found.all('setstream_queued_sets').length === 1)
    const [looked, counted] = [await calls('hmget'), await calls('xpending')]
    await until('three more snapshots were taken', async () => (await calls('hmget')) >= looked + 3)
    expect(await calls('xpending')).toBe(counted)
    await feed.publish()
    await until('it is counted', async () => (await calls('xpending')) > counted)
  })
})

describe('held polls', () => {
  it('of every process are in the stats of each', async () => {
    const lab = await openLab({}, ['public', 'internal'])
    const second = await lab.another()
    const third = await lab.another({}, ['internal'])
    const feed = await lab.feed()
    const known = (count: number, at: TestTransmitter) =>
      until(`${count} are known`, async () => (await feed.stats(at)).heldPolls === count)
    const [here] = await feed.hold({ maxEvents: 1 })
    await known(1, third)
    const [there] = await feed.hold({ maxEvents: 1 }, { at: second })
    await Promise.all([known(2, lab.transmitter), known(2, second), known(2, third)])
    const { totals } = await third.admin<{ totals: { heldPolls: number } }>('GET', '/v1/stats')
    expect(totals.heldPolls).toBe(2)
    await feed.publishMany(2)
    await Promise.all([here, there])
    await Promise.all([known(0, lab.transmitter), known(0, second), known(0, third)])
  })

  it('of a process that stopped or died are forgotten', async () => {
    const lab = await openLab({}, ['public', 'internal'])
    const second = await lab.another()
    const feed = await lab.feed()
    const [answer] = await feed.hold({}, { at: second })
    await until('the other process knows', async () => (await feed.stats()).heldPolls === 1)
    const holders = await lab.redis.zrange(`{${lab.prefix}:held}`, '0', '-1')
    expect(holders).toHaveLength(1)
    // What a process that died has said ends by itself.
    expect(await lab.redis.pttl(`{${lab.prefix}:held}:${holders[0]}`)).toBeLessThanOrEqual(15_000)
    await second.stop()
    await answer
    expect((await feed.stats()).heldPolls).toBe(0)
    expect(await lab.redis.exists(`{${lab.prefix}:held}:${holders[0]}`)).toBe(0)
  })
})
