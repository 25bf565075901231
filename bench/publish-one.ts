/** Publish one event to one receiver, 32 calls at a time: against ES256 signatures alone, 32 at a time. */
import type { Bench } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { ourPublish, signingAlone } from './harness/publish-sides.ts'
import { startRedis } from './harness/redis.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

const AT_ONCE = 32

export const publishOne: Bench = {
  name: 'publish-one',
  what: `events published one a call to one receiver, signed with ES256, ${AT_ONCE} calls at a time`,
  unit: 'SETs/s',
  budgets: [{ ours: 'setstream', against: 'signing alone', atLeast: 0.5 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url)
    await addReceivers(transmitter, ['r0'])
    const load = startLoad(setting)
    const seconds = setting.quick ? 1 : 2
    return [
      ourPublish('setstream', transmitter, redis, load, { batch: 1, connections: AT_ONCE, seconds }),
      signingAlone(setting, AT_ONCE, seconds),
    ]
  },
}
