/** Jobs of the workers with nothing to do: what BullMQ itself costs Redis and a worker. No budget. */
import { Worker } from 'bullmq'
import { Jobs } from '../src/jobs.ts'
import { parseRedisUrl } from '../src/store/connection.ts'
import { keysFor } from '../src/store/keys.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import type { Bench, Sample } from './harness/bench.ts'
import { coresBetween, readCpu } from './harness/cpu.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'

export const jobs: Bench = {
  name: 'jobs',
  what: 'sweeps asked for and done, one a receiver, without the sweep itself',
  unit: 'jobs/s',
  roundsMax: 2,
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const keys = keysFor('set')
    const target = parseRedisUrl(redis.url)
    const queueConnection = target.open('jobs')
    const workerConnection = target.open('jobs')
    const asked = new Jobs(queueConnection, keys, createLogger('silent'))
    const ids = receiverIds(setting.quick ? 1000 : 3000)
    let left = 0
    let done: () => void = () => {}
    const processor = async () => {
      left -= 1
      if (left === 0) done()
    }
    const worker = new Worker('redelivery', processor, {
      connection: workerConnection as never,
      prefix: keys.jobs,
      concurrency: 8,
    })
    setting.defer(async () => {
      await worker.close()
      await asked.close()
      queueConnection.disconnect()
      workerConnection.disconnect()
    })
    return [
      {
        name: 'setstream',
        measure: async (): Promise<Sample> => {
          const { promise, resolve } = Promise.withResolvers<void>()
          left = ids.length
          done = resolve
          const before = readCpu({ ...redis.watched, worker: process.pid })
          for (const id of ids) asked.sweep(id, 1)
          await promise
          const after = readCpu({ ...redis.watched, worker: process.pid })
          return { value: (ids.length / (after.atMs - before.atMs)) * 1000, cores: coresBetween(before, after) }
        },
      },
    ]
  },
}
