/** One event for 1 000 receivers: as many SETs, each signed for its own audience. Against signing alone; no budget. */
import type { Bench } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { ourPublish, signingAlone } from './harness/publish-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

const RECEIVERS = 1000

export const fanOut: Bench = {
  name: 'fan-out',
  what: `one event for ${RECEIVERS} receivers, two calls at a time`,
  unit: 'SETs/s',
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url)
    await addReceivers(transmitter, receiverIds(RECEIVERS), { tokens: false })
    const seconds = setting.quick ? 1 : 2
    const events = ourPublish('setstream', transmitter, redis, startLoad(setting), {
      batch: 1,
      connections: 2,
      seconds,
    })
    return [
      {
        name: events.name,
        measure: async () => {
          const sample = await events.measure()
          return { ...sample, value: sample.value * RECEIVERS }
        },
      },
      signingAlone(setting, 32, seconds),
    ]
  },
}
