/** The same load spread over 10, 1 000 and (not in quick mode) 10 000 receivers. No budget. */
import type { Bench } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { mixedSide } from './harness/mixed-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { startTransmitter } from './harness/transmitter.ts'

export const receivers: Bench = {
  name: 'receivers',
  what: 'publish one, poll, acknowledge, 32 at a time, over so many receivers',
  unit: 'SETs/s',
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const sides = []
    for (const count of setting.quick ? [10, 1000] : [10, 1000, 10_000]) {
      const transmitter = await startTransmitter(setting, redis.url, { KEY_PREFIX: `with-${count}` })
      const name = `${count} receivers`
      sides.push(await mixedSide(name, [transmitter], redis, load, receiverIds(count), setting.quick ? 1 : 3))
    }
    return sides
  },
}
