/** On which node of a cluster a subscription stands: the one that owns its slot, whatever the URL names. */
import type { Redis } from 'ioredis'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { parseRedisUrl, type RedisTarget } from '../../src/store/connection.ts'
import { Subscriber } from '../../src/store/subscriber.ts'
import { slotOf } from '../../src/store/topology.ts'
import { startCluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'

/** All of one slot. */
const channelOf = (name: string) => `subscriptions:{r}:${name}`

const cluster = await startCluster()
afterAll(() => cluster.close())
const master = await cluster.ownerOf(slotOf(channelOf('')))
const replica = await cluster.replicaOf(master)
const target = parseRedisUrl(`redis+cluster://${replica.address}`)
const open: Subscriber[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const subscriber of open.splice(0)) subscriber.close()
})

function subscriberOf(at: RedisTarget, restored: string[] = []) {
  const onRestored = (channels: readonly string[]) => void restored.push(...channels)
  const subscriber = new Subscriber(at, { onMessage() {}, onLost() {}, onRestored })
  open.push(subscriber)
  return subscriber
}

/** How many subscriptions to `channel` the master and the replica have. */
function standing(channel: string): Promise<number[]> {
  return Promise.all(
    [master, replica].map(async ({ redis }) => {
      const [, count] = (await redis.call('PUBSUB', 'SHARDNUMSUB', channel)) as [string, number]
      return count
    }),
  )
}

describe('a subscription', () => {
  it('stands on the master though the URL names a replica, which would have taken it', async () => {
    const channel = channelOf('placed')
    await subscriberOf(target).subscribe(channel)
    expect(await standing(channel)).toEqual([1, 0])
  })
  it('that stands on a replica is moved to the master within about two minutes', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const channel = channelOf('stray')
    let isSilent = true
    const restored: string[] = []
    const subscriber = subscriberOf({ ...target, openNode: address => silenced(address, () => isSilent) }, restored)
    await subscriber.subscribe(channel)
    expect(await standing(channel)).toEqual([0, 1])
    isSilent = false
    vi.advanceTimersByTime(60_000)
    expect(await standing(channel)).toEqual([0, 1]) // One look may be mistaken.
    vi.advanceTimersByTime(60_000)
    await until('it is on the master', async () => String(await standing(channel)) === '1,0')
    // What came while it moved was not told.
    await until('that is said', () => restored.includes(channel))
  })
})

/** Which slots are whose, nobody says while `isSilent`. */
function silenced(address: string | undefined, isSilent: () => boolean): Redis {
  const node = target.openNode(address)
  const ask = node.cluster.bind(node) as (subcommand: string) => Promise<unknown>
  const cluster = async (subcommand: string) => {
    if (isSilent()) throw new Error('Silent.')
    return ask(subcommand)
  }
  return Object.assign(node, { cluster }) as Redis
}
