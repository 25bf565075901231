/** Drain of a receiver with 1 000 000 SETs queued and 100 000 in flight: against receivers with 1 000 and none. */
import type { Bench } from './harness/bench.ts'
import { sampleOf, startLoad } from './harness/drain-sides.ts'
import { openPreload } from './harness/preload.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'
import type { Feed, Window } from './load/target.ts'

const PAGE = 100
const POLLS_EACH = 10
const WALKS = 64
const SETS_EACH = PAGE * (POLLS_EACH + 1)

export const drainFlat: Bench = {
  name: 'drain-flat',
  what: 'one connection, 100 a page: 1 000 000 queued and 100 000 in flight (a tenth in quick mode), and 1 000 and none',
  unit: 'SETs/s',
  budgets: [{ ours: 'large backlog', against: 'small backlog', atLeast: 0.9 }],
  async open(setting) {
    // More are queued than a round takes: they are put back behind it.
    const [queued, inFlight] = setting.quick ? [100_000, 10_000] : [1_000_000, 100_000]
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url, {
      PAGE_MAX: '1000',
      REDELIVER_AFTER_MS: '3600000', // What is in flight stays there.
    })
    const ids = receiverIds(WALKS)
    const [large, ...small] = await addReceivers(transmitter, ['large', ...ids])
    const load = startLoad(setting)
    const fill = openPreload(setting, redis.url, 'set')
    await fill(['large'], queued + inFlight)
    const port = transmitter.publicPort
    await load.call('take', { port, feed: large, page: 1000, pages: inFlight / 1000 })
    const watched = { server: transmitter.pid, redis: redis.pid }
    const walk = async (feeds: readonly Feed[]) =>
      sampleOf(await load.call<Window>('walk', { port, feeds, page: PAGE, pollsEach: POLLS_EACH, watched }))
    return [
      {
        name: 'large backlog',
        measure: async () => {
          const sample = await walk(new Array(WALKS).fill(large))
          await fill(['large'], WALKS * SETS_EACH)
          return sample
        },
      },
      {
        name: 'small backlog',
        measure: async () => {
          await fill(ids, SETS_EACH)
          return walk(small)
        },
      },
    ]
  },
}
