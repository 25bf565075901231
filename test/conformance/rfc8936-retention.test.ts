/** RFC 8936 §2: how long what is over is kept, and that nothing else goes. */
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { limitsFrom } from '../../src/delivery/limits.ts'
import { Retention } from '../../src/delivery/retention.ts'
import { openResources } from '../../src/resources.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { openLab } from '../support/feed.ts'
import { redisUrl } from '../support/redis.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const lab = await openLab()

/** The worker's passes, at moments that the test chooses. */
async function retention(retainMs: { parked: number; errors: number }) {
  const config = readConfig({ REDIS_URL: redisUrl(), KEY_PREFIX: lab.prefix })
  const logged: Record<string, unknown>[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  const { sets, reader, registry, close } = await openResources(config, logger)
  onTestFinished(close)
  const metrics = createMetrics({ heldPolls: () => 0 })
  const schedule = { sweep() {}, logReports() {} }
  const passes = new Retention(
    { sets, reader, registry, limitsOf: limitsFrom(config), schedule, metrics, logger },
    { retainParkedMs: retainMs.parked, retainErrorsMs: retainMs.errors },
  )
  let nowMs = Date.now()
  return {
    logged,
    /** The first pass of a process looks quickly; one an hour later looks at everything. */
    pass: async () => {
      await passes.pass(nowMs)
      nowMs += HOUR
      await passes.pass(nowMs)
    },
    discarded: async () =>
      (await metrics.discarded.get()).values.find(({ labels }) => labels.reason === 'retention')?.value,
  }
}

describe('a dead letter', () => {
  it('is kept for its time, and then discarded, counted and logged; what is owed stays (P-98, P-202)', async () => {
    const feed = await lab.feed()
    const [parked, inFlight] = [await feed.publish(), await feed.publish()]
    await feed.pollNow()
    await feed.report([parked])
    const queued = await feed.publish()

    const kept = await retention({ parked: 30 * DAY, errors: 30 * DAY })
    await kept.pass()
    expect((await feed.check()).states.get(parked)).toBe('parked')
    expect((await feed.admin('GET', '/errors')).body.items).toHaveLength(1)

    const over = await retention({ parked: 0, errors: 0 })
    await over.pass()
    expect((await feed.check()).states).toEqual(
      new Map([
        [inFlight, 'inflight'],
        [queued, 'queued'],
      ]),
    )
    expect(await lab.redis.xlen(feed.keys.log)).toBe(2)
    expect((await feed.admin('GET', '/errors')).body.items).toEqual([])
    expect(await over.discarded()).toBe(1)
    expect(await lab.redis.hget(feed.keys.counts, 'discarded:retention')).toBe('1')
    const about = over.logged.filter(line => line.receiver === feed.id && line.discarded === 1)
    expect(about).toHaveLength(1)
  })
})

describe('a SET that nobody fetches', () => {
  it('is never discarded by default, however old (P-98, P-99)', async () => {
    const { EXPIRE_AFTER_MS, RETAIN_PARKED_MS, RETAIN_ERRORS_MS } = readConfig({})
    expect([EXPIRE_AFTER_MS, RETAIN_PARKED_MS, RETAIN_ERRORS_MS]).toEqual([0, 30 * DAY, 30 * DAY])
    const feed = await lab.feed()
    const jtis = await feed.publishMany(3)
    const { pass, discarded } = await retention({ parked: 0, errors: 0 })
    await pass()
    expect((await feed.pollNow()).jtis).toEqual(jtis)
    expect(await discarded()).toBe(0)
  })
})
