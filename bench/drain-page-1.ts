/** Drain over HTTP, one SET a page: against requests a second of an empty Fastify route. */
import type { Bench } from './harness/bench.ts'
import { emptyRoute, naiveDrain, ourDrain, startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'

export const drainPage1: Bench = {
  name: 'drain-page-1',
  what: 'SETs of 650 bytes polled and acknowledged, one a page, 16 receivers with two connections each',
  unit: 'SETs/s',
  budgets: [{ ours: 'setstream', against: 'empty route', atLeast: 0.5 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const shape = { page: 1, receivers: 16, setsEach: setting.quick ? 1000 : 3000, connections: 32 }
    return [
      await ourDrain(setting, redis, load, shape),
      await emptyRoute(setting, load, shape, setting.quick ? 1 : 2),
      await naiveDrain(setting, redis, load, shape), // For comparison: no budget.
    ]
  },
}
