/** Redis memory of a queued SET, with its index and all: against the bytes of its JWS. */
import type { Redis } from 'ioredis'
import type { Bench, Sample } from './harness/bench.ts'
import { openPreload } from './harness/preload.ts'
import { startRedis } from './harness/redis.ts'
import { fillerJti, receiverIds, SET_BYTES } from './harness/sets.ts'
import { addReceivers, startTransmitter } from './harness/transmitter.ts'

export const redisBytes: Bench = {
  name: 'redis-bytes',
  what: 'memory of Redis for a queued SET of 650 bytes, 16 receivers',
  unit: 'bytes',
  warmUp: false,
  budgets: [{ ours: 'setstream', against: 'JWS', atMost: 1.6 }],
  async open(setting) {
    const redis = await startRedis(setting)
    const transmitter = await startTransmitter(setting, redis.url)
    const setsEach = setting.quick ? 2000 : 10_000
    const fill = openPreload(setting, redis.url, 'set')
    let round = 0
    return [
      {
        name: 'setstream',
        measure: async (): Promise<Sample> => {
          // New receivers each time: the last one's hashes have grown already.
          round += 1
          const ids = receiverIds(16).map(id => `${id}-${round}`)
          await addReceivers(transmitter, ids, { tokens: false })
          const before = await usedBytes(redis.client)
          await fill(ids, setsEach)
          return { value: ((await usedBytes(redis.client)) - before) / (setsEach * ids.length) }
        },
      },
      { name: 'JWS', measure: async () => ({ value: SET_BYTES }) },
      {
        // What is left for the dedupe window of a SET that is acknowledged: its jti.
        name: 'noted jti',
        measure: async (): Promise<Sample> => {
          const key = `noted-${round}`
          const jtis = Array.from({ length: setsEach * 16 }, fillerJti)
          const before = await usedBytes(redis.client)
          for (let at = 0; at < jtis.length; at += 1000) await redis.client.sadd(key, jtis.slice(at, at + 1000))
          return { value: ((await usedBytes(redis.client)) - before) / jtis.length }
        },
      },
    ]
  },
}

/** Without the buffer of the append-only file, which is gone at the next write to disk. */
async function usedBytes(redis: Redis): Promise<number> {
  const info = await redis.info('memory')
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return field('used_memory') - field('mem_aof_buffer') - field('mem_clients_normal')
}
