/** Counting receivers for metrics: how many at a time, and that it breaks off. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { limitsFrom } from '../../src/delivery/limits.ts'
import { Snapshots } from '../../src/delivery/snapshot.ts'
import { openResources } from '../../src/resources.ts'
import { SnapshotLease } from '../../src/store/snapshot-lease.ts'
import { SnapshotReader } from '../../src/store/snapshot-reader.ts'
import { WorkerRuns } from '../../src/store/worker-runs.ts'
import { ExportedFacts } from '../../src/telemetry/facts.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { openLab } from '../support/feed.ts'
import { redisUrl } from '../support/redis.ts'
import { until } from '../support/until.ts'

const RECEIVERS = 24
const lab = await openLab({ METRICS_SNAPSHOT_MS: '600000' }, ['internal'])
const feeds = await Promise.all(Array.from({ length: RECEIVERS }, () => lab.feed()))
await Promise.all(feeds.map(feed => feed.publish()))
const config = readConfig({ REDIS_URL: redisUrl(), KEY_PREFIX: lab.prefix })
const logger = createLogger('silent')
const resources = await openResources(config, logger)
afterAll(() => resources.close())

/** Snapshots for which every count takes so long; `runs` has how many receivers each run of counts was of. */
function opened(everyMs: number, countMs: number) {
  const { redis, scripts, keys, registry, reader, keyStore } = resources
  const runs: number[] = []
  let underWay = 0
  const facts = new ExportedFacts()
  const lease = new SnapshotLease(redis, scripts, keys, `test-${everyMs}`)
  const count = async (receiver: string) => {
    if (underWay === 0) runs.push(0)
    runs[runs.length - 1]! += 1
    underWay += 1
    await delay(countMs)
    const counts = await reader.count(receiver)
    underWay -= 1
    return counts
  }
  const snapshots = new Snapshots(
    {
      lease,
      reader: new SnapshotReader(redis, keys),
      registry,
      sets: { count },
      keyStore,
      runs: new WorkerRuns(redis, keys),
      jobs: { counts: async () => [] },
      limitsOf: limitsFrom(config),
      facts,
      logger,
    },
    { everyMs, receiversMax: RECEIVERS, isFirstChoice: true },
  )
  onTestFinished(() => snapshots.stop())
  snapshots.start()
  return { snapshots, runs, facts, lease }
}

describe('a snapshot', () => {
  it('counts four at a time while there is time, and more at once when a quarter of it is over', async () => {
    const { runs, facts } = opened(2000, 200)
    await until('it is exported', () => facts.text() !== '')
    expect(facts.text()).toContain(`setstream_receivers ${RECEIVERS}\n`)
    // In half a second there is one run and its rest, or the beginning of a second.
    expect(runs[0]).toBe(4)
    expect(runs.slice(1).some(length => length > 4)).toBe(true)
    expect(Math.max(...runs)).toBeLessThanOrEqual(20)
  })

  it('breaks off when it is stopped, and gives its lease back', async () => {
    const { snapshots, runs, facts, lease } = opened(60_000, 50)
    await until('it counts', () => runs.length > 0)
    await snapshots.stop()
    expect(runs).toEqual([4])
    expect(facts.text()).toBe('')
    expect(await lease.isFree()).toBe(true)
  })
})
