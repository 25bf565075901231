/** SIGTERM while Redis is away: the process ends all the same, within its grace period and with 0. */
import { expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { startPrivateRedis } from '../support/redis.ts'
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
