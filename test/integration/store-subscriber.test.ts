/** Where subscriptions are placed, and that none counts as standing that does not. */
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { Subscriber } from '../../src/store/subscriber.ts'
import { startMovingRedis } from '../support/moving-redis.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis()
const redis = connect({}, server.url)
const open: Subscriber[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const subscriber of open.splice(0)) subscriber.close()
})

function subscriberAt(url: string) {
  const subscriber = new Subscriber(parseRedisUrl(url), { onMessage() {}, onLost() {}, onRestored() {} })
  open.push(subscriber)
  return subscriber
}

/** How many there are, with the one that asks. */
async function connections(): Promise<number> {
  const list = String(await redis.call('CLIENT', 'LIST'))
  return list.trim().split('\n').length
}

describe('a connection without subscriptions', () => {
  it('is closed, and what is subscribed in that moment gets another', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const subscriber = subscriberAt(server.url)
    await subscriber.subscribe('first')
    subscriber.unsubscribe('first')
    vi.advanceTimersByTime(5000)
    await subscriber.subscribe('second')
    // The end of the old connection is not taken for that of the new one.
    await until('the old connection is gone', async () => (await connections()) === 2)
    await subscriber.subscribe('third')
    expect(await connections()).toBe(2)
    expect([subscriber.isSubscribed('second'), subscriber.isSubscribed('third')]).toEqual([true, true])
  })
})

describe('a subscription that the server ends as it confirms it', () => {
  it('is asked for again before it counts as standing', async () => {
    const moving = await startMovingRedis()
    onTestFinished(() => moving.close())
    const subscriber = subscriberAt(moving.url)
    await subscriber.subscribe('moved')
    expect(subscriber.isSubscribed('moved')).toBe(true)
    expect([moving.asked(), moving.isSubscribed()]).toEqual([2, true])
  })
})
