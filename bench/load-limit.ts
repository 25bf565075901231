/** What the load generator can ask for at the most: a server that parses nothing and answers from memory. No budget. */
import type { Bench } from './harness/bench.ts'
import { sampleOf, startLoad } from './harness/drain-sides.ts'
import { startYardstick } from './harness/yardstick.ts'
import type { Window } from './load/target.ts'

export const loadLimit: Bench = {
  name: 'load-limit',
  what: 'requests of the load generator to a server that does nothing at all: its own limit',
  unit: 'requests/s',
  budgets: [],
  async open(setting) {
    const load = startLoad(setting)
    const server = await startYardstick(setting, 'canned.ts')
    const seconds = setting.quick ? 0.5 : 2
    const ask = (page: number) => ({
      name: `${page} a page`,
      measure: async () =>
        sampleOf(
          await load.call<Window>('ask', {
            port: server.port,
            feeds: [{ path: '/receivers/r0/poll', headers: '' }],
            connections: 32,
            page,
            seconds,
            watched: { server: server.pid },
          }),
        ),
    })
    return [ask(1), ask(100)]
  },
}
