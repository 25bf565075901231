/** Publish batches of 100 events to one receiver: against ES256 signatures alone. */
import type { Bench } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { ourPublish, signingAlone } from './harness/publish-sides.ts'
import { startRedis } from './harness/redis.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

const CALLS_AT_ONCE = 4

export const publishBatch: Bench = {
  name: 'publish-batch',
  what: `events published 100 a call to one receiver, signed with ES256, ${CALLS_AT_ONCE} calls at a time`,
  unit: 'SETs/s',
  budgets: [{ ours: 'setstream', against: 'signing alone', atLeast: 0.8 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url)
    await addReceivers(transmitter, ['r0'])
    const load = startLoad(setting)
    const seconds = setting.quick ? 1 : 2
    return [
      ourPublish('setstream', transmitter, redis, load, { batch: 100, connections: CALLS_AT_ONCE, seconds }),
      signingAlone(setting, 32, seconds),
    ]
  },
}
