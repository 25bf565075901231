/** Drain over HTTP, 100 SETs a page, 16 receivers: against a naive handler and against the scripts without HTTP. */
import type { Bench } from './harness/bench.ts'
import { naiveDrain, ourDrain, scriptsAlone, startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'

export const drainPage100: Bench = {
  name: 'drain-page-100',
  what: 'SETs of 650 bytes polled and acknowledged, 100 a page, 16 receivers with a connection each',
  unit: 'SETs/s',
  budgets: [
    { ours: 'setstream', against: 'naive handler', atLeast: 1.0 },
    { ours: 'setstream', against: 'scripts alone', atLeast: 0.5 },
  ],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const shape = { page: 100, receivers: 16, setsEach: setting.quick ? 4000 : 12_000, connections: 16 }
    return [
      await ourDrain(setting, redis, load, shape),
      await naiveDrain(setting, redis, load, shape),
      scriptsAlone(setting, redis, shape),
    ]
  },
}
