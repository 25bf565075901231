/** The same load on one process and on two that share a Redis. On two cores Redis and the load share them. No budget. */
import type { Bench } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { mixedSide } from './harness/mixed-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { startTransmitter } from './harness/transmitter.ts'

export const processes: Bench = {
  name: 'processes',
  what: 'publish one, poll, acknowledge, 32 at a time, through so many processes',
  unit: 'SETs/s',
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const first = await startTransmitter(setting, redis.url)
    const second = await startTransmitter(setting, redis.url, {}, first.keysDir)
    const seconds = setting.quick ? 1 : 3
    const ids = receiverIds(200)
    return [
      await mixedSide('one process', [first], redis, load, ids.slice(0, 100), seconds),
      await mixedSide('two processes', [first, second], redis, load, ids.slice(100), seconds),
    ]
  },
}
