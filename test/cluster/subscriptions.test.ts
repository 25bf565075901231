/** On which node of a cluster a subscription stands: the one that owns its slot, whatever the URL names. */
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { parseRedisUrl, type RedisTarget } from '../../src/store/connection.ts'
import { Subscriber } from '../../src/store/subscriber.ts'
import { slotOf } from '../../src/store/topology.ts'
import { startCluster } from '../support/cluster.ts'

/** All of one slot. */
const channelOf = (name: string) => `subscriptions:{r}:${name}`

const cluster = await startCluster()
afterAll(() => cluster.close())
const master = await cluster.ownerOf(slotOf(channelOf('')))
const replica = await cluster.replicaOf(master)
const target = parseRedisUrl(`redis+cluster://${replica.address}`)
const open: Subscriber[] = []
afterEach(() => {
  for (const subscriber of open.splice(0)) subscriber.close()
})

function subscriberOf(at: RedisTarget) {
  const subscriber = new Subscriber(at, { onMessage() {}, onLost() {}, onRestored() {} })
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
})
