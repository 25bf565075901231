/** SIGTERM while Redis is away, or just back: the process ends all the same, within its grace period and with 0. */
import { describe, expect, it } from 'vitest'
import { Jobs, QUEUES } from '../../src/jobs.ts'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { keysFor } from '../../src/store/keys.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { openLab } from '../support/feed.ts'
import { startPrivateRedis, testPrefix } from '../support/redis.ts'
import type { TransmitterProcess } from '../support/transmitter-process.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis()
const lab = await openLab({ REDIS_URL: server.url, SHUTDOWN_GRACE_MS: '2000' })

it.for([
  ['gone', () => server.kill(), () => server.start()],
  ['frozen', async () => server.freeze(), async () => server.thaw()],
] as const)('Redis is %s', async ([, take, give]) => {
  const feed = await lab.feed()
  const child = await lab.spawn(['public', 'internal', 'workers'])
  const [held] = await feed.hold({}, { at: child })
  await take()
  const startedAt = performance.now()
  expect(await child.terminate()).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(5000)
  // Told that there is nothing, or that nobody knows.
  expect([200, 503]).toContain((await held)?.status)
  await give()
  await until('Redis is back', async () => (await feed.pollNow()).status === 200)
})

/** Scripts that this Redis has run. */
async function scriptsRun(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await lab.redis.info('commandstats'))?.[1])
}

it('jobs that cannot be counted keep nobody waiting, who may be ending, and are asked for once', async () => {
  const connection = parseRedisUrl(server.url).open('jobs')
  const jobs = new Jobs(connection, keysFor(testPrefix()), createLogger('silent'))
  try {
    expect((await jobs.counts()).map(({ queue }) => queue)).toEqual(QUEUES)
    const before = await scriptsRun()
    server.freeze()
    const failed = expect.objectContaining({ code: 'store_unavailable' })
    await Promise.all([1, 2, 3].map(() => expect(jobs.counts()).rejects.toEqual(failed)))
    await expect(jobs.counts()).rejects.toEqual(failed)
    server.thaw()
    await until('they are counted again', () => jobs.counts().catch(() => false))
    // Once what was frozen, and perhaps once more.
    expect(await scriptsRun()).toBeLessThanOrEqual(before + 2 * QUEUES.length)
  } finally {
    server.thaw()
    await jobs.close()
    connection.disconnect()
  }
})

/** Of the connection that workers share and of the worker's own together: by then each waits for about a second. */
const ATTEMPTS_UNTIL_SLOW = 14

/** One for each queue: only a worker that has begun to wait for jobs has to be woken from it. */
async function workersWaiting(): Promise<boolean> {
  return Number(/blocked_clients:(\d+)/.exec(await lab.redis.info('clients'))?.[1]) >= QUEUES.length
}

function attemptsOf(child: TransmitterProcess, queue: string): number {
  return child.lines.filter(line => line.queue === queue && line.msg === 'worker cannot reach Redis').length
}

describe('of a long grace period nothing is used up for connections that wait for their next attempt', () => {
  it.for([
    ['away', async () => {}],
    ['just back', () => server.start()],
  ] as const)('Redis is %s', { timeout: 40_000 }, async ([, give]) => {
    const child = await lab.spawn(['public', 'internal', 'workers'], { SHUTDOWN_GRACE_MS: '25000', LOG_LEVEL: 'debug' })
    await until('the workers wait for jobs', workersWaiting)
    await server.kill()
    try {
      await until('attempts are far apart', () => attemptsOf(child, 'redelivery') >= ATTEMPTS_UNTIL_SLOW, 15_000)
      await give()
      const startedAt = performance.now()
      expect(await child.terminate()).toBe(0)
      expect(performance.now() - startedAt).toBeLessThan(5000)
    } finally {
      await server.kill() // Whether or not it was given back.
      await server.start()
    }
  })
})
