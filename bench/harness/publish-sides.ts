/** The sides of the publishing benchmarks: producers over HTTP, and signing with nothing around it. */
import type { PublishInput, Window } from '../load/target.ts'
import type { Setting, Side } from './bench.ts'
import { Worker } from './child.ts'
import { sampleOf } from './drain-sides.ts'
import type { RedisServer } from './redis.ts'
import { EVENT_TYPE, type Transmitter } from './transmitter.ts'

export interface PublishShape {
  /** Events a call. */
  readonly batch: number
  /** Calls at a time. */
  readonly connections: number
  readonly seconds: number
  /** Named in each event; without, it goes to those subscribed. */
  readonly receivers?: readonly string[]
  readonly eventType?: string
}

export function ourPublish(
  name: string,
  transmitter: Transmitter,
  redis: RedisServer,
  load: Worker,
  shape: PublishShape,
): Side {
  const input: PublishInput = {
    port: transmitter.internalPort,
    headers: transmitter.adminHeaders,
    eventType: EVENT_TYPE,
    watched: { server: transmitter.pid, ...redis.watched },
    ...shape,
  }
  return { name, measure: async () => sampleOf(await load.call<Window>('publish', input)) }
}

export function signingAlone(setting: Setting, concurrency: number, seconds: number): Side {
  const worker = Worker.start(setting, '../yardsticks/signing.ts')
  return {
    name: 'signing alone',
    measure: async () => sampleOf(await worker.call<Window>('sign', { concurrency, seconds })),
  }
}
