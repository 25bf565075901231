/** A load that stays the same whatever the number of receivers and processes: publish, poll, acknowledge. */
import type { MixedInput, Window } from '../load/target.ts'
import type { Side } from './bench.ts'
import type { Worker } from './child.ts'
import { sampleOf } from './drain-sides.ts'
import type { RedisServer } from './redis.ts'
import { addReceivers, EVENT_TYPE, type Transmitter } from './transmitter.ts'

const WORKERS = 32

export async function mixedSide(
  name: string,
  transmitters: readonly Transmitter[],
  redis: RedisServer,
  load: Worker,
  ids: readonly string[],
  seconds: number,
): Promise<Side> {
  const [first] = transmitters
  const feeds = await addReceivers(first!, ids)
  const input: MixedInput = {
    publicPorts: transmitters.map(transmitter => transmitter.publicPort),
    internalPorts: transmitters.map(transmitter => transmitter.internalPort),
    publishHeaders: first!.adminHeaders,
    feeds,
    ids,
    eventType: EVENT_TYPE,
    workers: WORKERS,
    seconds,
    watched: {
      ...Object.fromEntries(transmitters.map((transmitter, at) => [`server${at + 1}`, transmitter.pid])),
      redis: redis.pid,
    },
  }
  return { name, measure: async () => sampleOf(await load.call<Window>('mixed', input)) }
}
