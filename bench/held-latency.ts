/** From a producer's request to the answer of a held poll: against Redis PUBLISH to a subscriber. */
import type { Bench } from './harness/bench.ts'
import { Worker } from './harness/child.ts'
import { startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, EVENT_TYPE, startTransmitter } from './harness/transmitter.ts'
import type { WakeInput, Window } from './load/target.ts'

const HELD = 1000
const PER_SECOND = 200

export const heldLatency: Bench = {
  name: 'held-latency',
  what: `publish to held poll answered, p99, ${HELD} held, ${PER_SECOND} events/s`,
  unit: 'ms',
  budgets: [{ ours: 'setstream', against: 'Redis PUBLISH', atMost: 5 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url)
    const ids = receiverIds(HELD)
    const feeds = await addReceivers(transmitter, ids)
    const load = startLoad(setting)
    const subscriber = Worker.start(setting, '../yardsticks/pubsub.ts')
    const seconds = setting.quick ? 2 : 15
    const input: WakeInput = {
      publicPort: transmitter.publicPort,
      internalPort: transmitter.internalPort,
      publishHeaders: transmitter.adminHeaders,
      feeds,
      ids,
      eventType: EVENT_TYPE,
      perSecond: PER_SECOND,
      seconds,
      watched: { server: transmitter.pid, redis: redis.pid },
    }
    const worst = (window: Window) => ({ value: window.detail.p99Ms!, cores: window.cores, detail: window.detail })
    return [
      { name: 'setstream', measure: async () => worst(await load.call<Window>('wake', input)) },
      {
        name: 'Redis PUBLISH',
        measure: async () =>
          worst(
            await subscriber.call<Window>('notify', {
              url: redis.url,
              channels: HELD,
              perSecond: PER_SECOND,
              seconds,
              watched: { redis: redis.pid },
            }),
          ),
      },
    ]
  },
}
