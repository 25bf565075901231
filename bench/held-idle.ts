/** What held polls cost while nothing happens: processor time against the same process with none. No budget. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench, Sample, Side } from './harness/bench.ts'
import { coresBetween, readCpu } from './harness/cpu.ts'
import { startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

const RECEIVERS = 200
const EACH = 25
const QUICK_EACH = 10

export const heldIdle: Bench = {
  name: 'held-idle',
  what: `processor time of transmitter and Redis while ${RECEIVERS * EACH} polls (${RECEIVERS * QUICK_EACH} in quick mode) are held and nothing is published`,
  unit: 'ms/min',
  warmUp: false,
  roundsMax: 1,
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url, { POLL_WAIT_MS: '120000' })
    const feeds = await addReceivers(transmitter, receiverIds(RECEIVERS))
    const load = startLoad(setting)
    // Shorter than the wait in quick mode; else so long that each poll ends and is sent again several times.
    const seconds = setting.quick ? 1.5 : 600
    const idle = async (): Promise<Sample> => {
      await pause(setting.quick ? 1000 : 2000)
      const before = readCpu({ server: transmitter.pid, redis: redis.pid, load: load.pid })
      await pause(seconds * 1000)
      const cores = coresBetween(before, readCpu({ server: transmitter.pid, redis: redis.pid, load: load.pid }))
      return { value: (cores.server! + cores.redis!) * 60_000, cores: { ...cores, others: 0 } }
    }
    const held: Side = {
      name: 'held',
      measure: async () => {
        await load.call('hold', { port: transmitter.publicPort, feeds, each: setting.quick ? QUICK_EACH : EACH })
        const sample = await idle()
        await load.call('letGo', undefined)
        return sample
      },
    }
    return [{ name: 'none held', measure: idle }, held]
  },
}
