/** Publish to the one receiver that is subscribed: with 10 000 registered against 10. */
import type { Bench, Side } from './harness/bench.ts'
import { startLoad } from './harness/drain-sides.ts'
import { ourPublish } from './harness/publish-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, EVENT_TYPE, startTransmitter } from './harness/transmitter.ts'

const OTHER_TYPE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change'

export const registrySize: Bench = {
  name: 'registry-size',
  what: 'events published one a call, 32 at a time, to the one subscribed receiver of so many',
  unit: 'SETs/s',
  budgets: [{ ours: '10 000 receivers', against: '10 receivers', atLeast: 0.9 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const side = async (name: string, prefix: string, count: number): Promise<Side> => {
      const transmitter = await startTransmitter(setting, redis.url, { KEY_PREFIX: prefix })
      await addReceivers(transmitter, receiverIds(count - 1), { eventTypes: [OTHER_TYPE], tokens: false })
      await addReceivers(transmitter, ['subscribed'], { eventTypes: [EVENT_TYPE] })
      const shape = { batch: 1, connections: 32, seconds: setting.quick ? 1 : 2 }
      return ourPublish(name, transmitter, redis, load, shape)
    }
    return [await side('10 000 receivers', 'many', 10_000), await side('10 receivers', 'few', 10)]
  },
}
