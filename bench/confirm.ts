/** What each level of CONFIRM costs: publishing and draining when Redis has it, its disk has it, a replica has it. */
import type { Bench, Setting, Side } from './harness/bench.ts'
import type { Worker } from './harness/child.ts'
import { ourDrain, startLoad } from './harness/drain-sides.ts'
import { until } from './harness/net.ts'
import { ourPublish } from './harness/publish-sides.ts'
import { type RedisServer, startRedis } from './harness/redis.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

const levels = ['written', 'fsynced', 'replicated:1'] as const
type Level = (typeof levels)[number]

async function redisFor(setting: Setting, level: Level): Promise<RedisServer> {
  const redis = await startRedis(setting, level === 'fsynced' ? { appendfsync: 'always' } : {})
  if (level === 'replicated:1') {
    const { port } = new URL(redis.url)
    const replica = await startRedis(setting, { replicaof: `127.0.0.1 ${port}` })
    await until(async () => {
      if (!/state=online/.test(await redis.client.info('replication'))) throw new Error('the replica is not online')
    })
    return { ...redis, watched: { redis: redis.pid, replica: replica.pid } }
  }
  return redis
}

function levelsOf(side: (level: Level, setting: Setting, redis: RedisServer, load: Worker) => Promise<Side>) {
  return async (setting: Setting) => {
    const load = startLoad(setting)
    const sides: Side[] = []
    for (const level of levels) sides.push(await side(level, setting, await redisFor(setting, level), load))
    return sides
  }
}

export const confirmPublish: Bench = {
  name: 'confirm-publish',
  what: 'events published one a call, 32 at a time, by what a 202 waits for',
  unit: 'SETs/s',
  budgets: [],
  open: levelsOf(async (level, setting, redis, load) => {
    const transmitter = await startTransmitter(setting, redis.url, { CONFIRM: level })
    await addReceivers(transmitter, ['r0'])
    return ourPublish(level, transmitter, redis, load, { batch: 1, connections: 32, seconds: setting.quick ? 1 : 2 })
  }),
}

export const confirmDrain: Bench = {
  name: 'confirm-drain',
  what: '100 a page, 16 receivers, by what an acknowledgement waits for',
  unit: 'SETs/s',
  budgets: [],
  open: levelsOf(async (level, setting, redis, load) => {
    const shape = { page: 100, receivers: 16, setsEach: setting.quick ? 1500 : 12_000, connections: 16 }
    return { ...(await ourDrain(setting, redis, load, shape, { CONFIRM: level })), name: level }
  }),
}
