/**
 * What calls cost where they are spread over many connections, as between many processes and many shards: nothing shares
 * a write, a read or a turn of Redis. One Redis with a connection a caller, and a transmitter on a cluster. No budget.
 */
import type { Bench, Setting, Side } from './harness/bench.ts'
import { Worker } from './harness/child.ts'
import { startCluster } from './harness/cluster.ts'
import { sampleOf, startLoad } from './harness/drain-sides.ts'
import { startRedis } from './harness/redis.ts'
import { receiverIds } from './harness/sets.ts'
import { addReceivers, EVENT_TYPE, startTransmitter } from './harness/transmitter.ts'
import type { DrainInput, PublishInput, Window } from './load/target.ts'

const CALLERS = 32
const MASTERS = 3

export const spread: Bench = {
  name: 'spread',
  what: `one SET a call, ${CALLERS} at a time: Redis with a connection a caller, a transmitter on ${MASTERS} shards`,
  unit: 'SETs/s',
  roundsMax: 3,
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const scripts = Worker.start(setting, '../yardsticks/scripts.ts')
    const ids = receiverIds(CALLERS)
    const setsEach = setting.quick ? 300 : 1000
    const alone = (name: 'append' | 'poll' | 'epoch'): Side => ({
      name: `${name}, a connection each`,
      measure: async () =>
        sampleOf(await scripts.call<Window>(name, { url: redis.url, ids, setsEach, watched: redis.watched })),
    })
    return [alone('append'), alone('poll'), alone('epoch'), ...(await onCluster(setting, ids))]
  },
}

async function onCluster(setting: Setting, ids: readonly string[]): Promise<Side[]> {
  const { url, nodes } = await startCluster(setting, MASTERS)
  const load = startLoad(setting)
  const transmitter = await startTransmitter(setting, url)
  const watched = {
    server: transmitter.pid,
    ...Object.fromEntries(nodes.map(({ pid }, at) => [`redis${at + 1}`, pid])),
  }
  const feeds = await addReceivers(transmitter, ids)
  const publish: PublishInput = {
    port: transmitter.internalPort,
    headers: transmitter.adminHeaders,
    connections: CALLERS,
    batch: 1,
    eventType: EVENT_TYPE,
    inTurn: ids,
    seconds: setting.quick ? 1 : 3,
    watched,
  }
  const drain: DrainInput = {
    port: transmitter.publicPort,
    feeds,
    connections: CALLERS,
    page: 1,
    setsMax: 0,
    watched,
  }
  return [
    { name: `publish, ${MASTERS} shards`, measure: async () => sampleOf(await load.call<Window>('publish', publish)) },
    {
      name: `poll, ${MASTERS} shards`,
      measure: async () => {
        await load.call<Window>('publish', publish) // Leaves something to fetch.
        return sampleOf(await load.call<Window>('drain', drain))
      },
    },
  ]
}
