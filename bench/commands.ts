/** Redis scripts a publish and a poll take in the steady state, counted by Redis. */
import type { Redis } from 'ioredis'
import type { Bench, Sample } from './harness/bench.ts'
import { ourDrain, startLoad } from './harness/drain-sides.ts'
import { ourPublish } from './harness/publish-sides.ts'
import { startRedis } from './harness/redis.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

export const commands: Bench = {
  name: 'commands',
  what: 'Redis scripts a call in the steady state',
  unit: 'scripts',
  roundsMax: 1,
  // The rest is for jobs of the workers, which run in the same process whatever is published and polled.
  budgets: [
    { ours: 'publish', against: 1, atMost: 1.05 },
    { ours: 'poll', against: 1, atMost: 1.05 },
  ],
  async open(setting) {
    const redis = await startRedis(setting)
    const load = startLoad(setting)
    const transmitter = await startTransmitter(setting, redis.url, { KEY_PREFIX: 'publish' })
    await addReceivers(transmitter, ['r0'])
    const shape = { page: 10, receivers: 16, setsEach: 2000, connections: 16 }
    const drain = await ourDrain(setting, redis, load, shape)
    const publish = ourPublish('publish', transmitter, redis, load, { batch: 1, connections: 32, seconds: 1 })
    return [
      {
        name: 'publish',
        measure: async () => {
          const before = await counted(redis.client)
          const sample = await publish.measure()
          return perCall(before, await counted(redis.client), sample.detail!.calls!)
        },
      },
      {
        name: 'poll',
        measure: async () => {
          const before = await counted(redis.client)
          const sample = await drain.measure()
          const after = await counted(redis.client)
          const appended = Math.ceil(shape.setsEach / 500) * shape.receivers
          return perCall({ ...before, evalsha: (before.evalsha ?? 0) + appended }, after, sample.detail!.pollsAll!)
        },
      },
    ]
  },
}

type Calls = Record<string, number>

async function counted(redis: Redis): Promise<Calls> {
  const calls: Calls = {}
  for (const [, name, count] of (await redis.info('commandstats')).matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)) {
    calls[name!] = Number(count)
  }
  return calls
}

/** Scripts are the value; the detail is every command, those inside of scripts too. */
function perCall(before: Calls, after: Calls, calls: number): Sample {
  const detail: Record<string, number> = {}
  for (const [name, count] of Object.entries(after)) {
    const rate = (count - (before[name] ?? 0)) / calls
    if (rate >= 0.005) detail[name] = rate
  }
  return { value: (detail.evalsha ?? 0) + (detail.eval ?? 0) + (detail.fcall ?? 0), detail }
}
