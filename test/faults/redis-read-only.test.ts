/** A server that turned read-only, as the old master does after a failover. */
import { expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis()
const redis = connect({}, server.url)
const lab = await openLab({ REDIS_URL: server.url })

const connectionsMade = async () => Number(/total_connections_received:(\d+)/.exec(await redis.info('stats'))?.[1])

it('is answered 503 and not stormed with connections, and serves again once it takes writes', async () => {
  const feed = await lab.feed()
  await redis.replicaof('127.0.0.1', 1)
  const before = await connectionsMade()
  const startedAt = performance.now()
  let calls = 0
  await until('a while has passed, in calls', async () => {
    const answers = await Promise.all([feed.tryPublish({ id: `refused ${calls++}` }), feed.pollNow()])
    for (const { status } of answers) expect(status).toBe(503)
    return performance.now() - startedAt > 3000
  })
  const seconds = (performance.now() - startedAt) / 1000
  expect(((await connectionsMade()) - before) / seconds).toBeLessThan(20)
  await redis.replicaof('NO', 'ONE')
  await until('it is taken', async () => (await feed.tryPublish({ id: 'taken' })).status === 202)
  // What was refused is not applied later.
  expect(await feed.check()).toMatchObject({ queued: 1 })
})
