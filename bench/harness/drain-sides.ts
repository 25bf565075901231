/** The sides of the drain benchmarks: the same SETs, receivers and load, served by us, by a naive handler, by nothing. */
import type { Redis } from 'ioredis'
import type { DrainInput, Feed, Window } from '../load/target.ts'
import type { Sample, Setting, Side } from './bench.ts'
import { Worker } from './child.ts'
import { openPreload } from './preload.ts'
import type { RedisServer } from './redis.ts'
import { fillerSet, receiverIds } from './sets.ts'
import { addReceivers, startTransmitter } from './transmitter.ts'
import { startYardstick } from './yardstick.ts'

export interface DrainShape {
  readonly page: number
  readonly receivers: number
  /** SETs of each receiver before a round. */
  readonly setsEach: number
  readonly connections: number
}

export const startLoad = (setting: Setting) => Worker.start(setting, '../load/main.ts')

export const sampleOf = (window: Window): Sample => ({
  value: window.rate,
  cores: window.cores,
  detail: window.detail,
})

const openFeeds = (receivers: number): Feed[] =>
  receiverIds(receivers).map(id => ({ path: `/receivers/${id}/poll`, headers: '' }))

export async function naiveDrain(setting: Setting, redis: RedisServer, load: Worker, shape: DrainShape): Promise<Side> {
  const server = await startYardstick(setting, 'naive.ts', { REDIS_URL: redis.url })
  for (const id of receiverIds(shape.receivers)) {
    await redis.client.xgroup('CREATE', `naive:${id}`, 'poll', '0', 'MKSTREAM')
  }
  return {
    name: 'naive handler',
    measure: async () => {
      await fillNaive(redis.client, shape)
      const input: DrainInput = {
        port: server.port,
        feeds: openFeeds(shape.receivers),
        connections: shape.connections,
        page: shape.page,
        setsMax: 0,
        watched: { server: server.pid, redis: redis.pid },
      }
      return sampleOf(await load.call<Window>('drain', input))
    },
  }
}

/** Requests a second of a route that does nothing, asked for what a receiver asks for. */
export async function emptyRoute(setting: Setting, load: Worker, shape: DrainShape, seconds: number): Promise<Side> {
  const server = await startYardstick(setting, 'empty.ts')
  return {
    name: 'empty route',
    measure: async () => {
      const input = {
        port: server.port,
        feeds: openFeeds(shape.receivers),
        connections: shape.connections,
        page: shape.page,
        seconds,
        watched: { server: server.pid },
      }
      return sampleOf(await load.call<Window>('ask', input))
    },
  }
}

async function fillNaive(redis: Redis, shape: DrainShape): Promise<void> {
  const token = fillerSet()
  for (const id of receiverIds(shape.receivers)) {
    for (let added = 0; added < shape.setsEach; ) {
      const pipeline = redis.pipeline()
      for (const end = Math.min(added + 1000, shape.setsEach); added < end; added++) {
        pipeline.xadd(`naive:${id}`, '*', 'set', token)
      }
      await pipeline.exec()
    }
  }
}

/** Redis and a client, nothing else: what the scripts allow. */
export function scriptsAlone(setting: Setting, redis: RedisServer, shape: DrainShape): Side {
  const worker = Worker.start(setting, '../yardsticks/scripts.ts')
  return {
    name: 'scripts alone',
    measure: async () => {
      const input = {
        url: redis.url,
        ids: receiverIds(shape.receivers),
        setsEach: shape.setsEach,
        connections: shape.connections,
        page: shape.page,
        watched: { redis: redis.pid },
      }
      return sampleOf(await worker.call<Window>('drain', input))
    },
  }
}

export async function ourDrain(
  setting: Setting,
  redis: RedisServer,
  load: Worker,
  shape: DrainShape,
  env: Record<string, string> = {},
): Promise<Side> {
  const transmitter = await startTransmitter(setting, redis.url, env)
  const ids = receiverIds(shape.receivers)
  const feeds = await addReceivers(transmitter, ids)
  const fill = openPreload(setting, redis.url, 'set')
  return {
    name: 'setstream',
    measure: async () => {
      await fill(ids, shape.setsEach)
      const input: DrainInput = {
        port: transmitter.publicPort,
        feeds,
        connections: shape.connections,
        page: shape.page,
        setsMax: 0,
        watched: { server: transmitter.pid, ...redis.watched },
      }
      return sampleOf(await load.call<Window>('drain', input))
    },
  }
}
