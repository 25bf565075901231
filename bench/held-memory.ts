/** Memory of a held poll: against the same request held by an empty Fastify route. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench, Sample } from './harness/bench.ts'
import type { Worker } from './harness/child.ts'
import { residentBytes } from './harness/cpu.ts'
import { startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'
import { startYardstick } from './harness/yardstick.ts'
import type { Feed } from './load/target.ts'

const EACH = 30 // Within what a process holds for one receiver.
const SETTLE_MS = 1000

export const heldMemory: Bench = {
  name: 'held-memory',
  what: 'memory of one of 9 000 held polls (3 000 in quick mode)',
  unit: 'bytes',
  warmUp: false, // Every round is a fresh process.
  quickRoundsMax: 1,
  budgets: [{ ours: 'setstream', against: 'empty route', atMost: 1.3 }],
  async open(setting) {
    const held = setting.quick ? 3000 : 9000
    const ids = receiverIds(held / EACH)
    const redis = await startRedis(setting)
    const env = { POLL_WAIT_MS: '120000' }
    const registrar = await startTransmitter(setting, redis.url)
    const feeds = await addReceivers(registrar, ids)
    await registrar.stop()
    const load = startLoad(setting)
    return [
      {
        name: 'setstream',
        measure: async () => {
          const server = await startTransmitter(setting, redis.url, env)
          const sample = await measureHeld(load, server.pid, server.publicPort, feeds)
          await server.stop()
          return sample
        },
      },
      {
        name: 'empty route',
        measure: async () => {
          const server = await startYardstick(setting, 'empty.ts')
          const heldFeeds = feeds.map(feed => ({ ...feed, path: feed.path.replace(/poll$/, 'hold') }))
          const sample = await measureHeld(load, server.pid, server.port, heldFeeds)
          await server.stop()
          return sample
        },
      },
    ]
  },
}

async function measureHeld(load: Worker, pid: number, port: number, feeds: readonly Feed[]): Promise<Sample> {
  // What the first requests load and compile is not theirs.
  await load.call('hold', { port, feeds: feeds.slice(0, 20), each: EACH })
  await load.call('letGo', undefined)
  await pause(SETTLE_MS)
  const before = residentBytes(pid)
  const held = await load.call<number>('hold', { port, feeds, each: EACH })
  await pause(SETTLE_MS)
  const after = residentBytes(pid)
  await load.call('letGo', undefined)
  return { value: (after - before) / held, detail: { beforeMiB: before / 2 ** 20, afterMiB: after / 2 ** 20 } }
}
