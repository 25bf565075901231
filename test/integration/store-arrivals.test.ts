/** Subscriptions of thousands of held polls while Redis goes and comes back: bounded, and none is forgotten. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Arrivals } from '../../src/store/arrivals.ts'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { keysFor } from '../../src/store/keys.ts'
import { connect, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const server = await startPrivateRedis()
const redis = connect({}, server.url)
const keys = keysFor('arrivals')
const open: Arrivals[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const arrivals of open.splice(0)) arrivals.close()
})

function arrivalsHere() {
  const arrived: string[] = []
  const resubscribed: string[][] = []
  const arrivals = new Arrivals(parseRedisUrl(server.url), keys, {
    onArrival: receiver => arrived.push(receiver),
    onResubscribed: receivers => resubscribed.push([...receivers]),
  })
  open.push(arrivals)
  return { arrivals, arrived, resubscribed }
}

const tell = (receiver: string) => redis.call('SPUBLISH', keys.of(receiver).wake, '')

describe('10 000 subscriptions', () => {
  it('are made anew after a restart, in parts, over one connection, and each is told of once', async () => {
    const { arrivals, arrived, resubscribed } = arrivalsHere()
    const receivers = Array.from({ length: 10_000 }, (_, i) => `r-${i}`)
    await Promise.all(receivers.map(receiver => arrivals.hold(receiver)))
    const marks = receivers.map(receiver => arrivals.mark(receiver))
    await server.kill()
    await until('they are lost', () => !arrivals.isListening('r-1'))
    await server.start()
    await until('they are back', () => receivers.every(receiver => arrivals.isListening(receiver)), 15_000)
    expect(resubscribed.flat().toSorted()).toEqual(receivers.toSorted())
    expect(Math.max(...resubscribed.map(part => part.length))).toBeLessThanOrEqual(500)
    // Something may have come meanwhile: nobody may think that nothing has.
    expect(receivers.filter((receiver, i) => arrivals.mark(receiver) === marks[i])).toEqual([])
    for (const receiver of ['r-0', 'r-5000', 'r-9999']) await tell(receiver)
    await until('they are told', () => arrived.length === 3)
    expect(
      String(await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
        .trim()
        .split('\n'),
    ).toHaveLength(1)
  })
})

describe('the mark of a receiver', () => {
  it('does not come again once the channel was left, since notifications were missed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    const { arrivals } = arrivalsHere()
    await arrivals.hold('left')
    arrivals.release('left')
    const mark = arrivals.mark('left')
    expect(mark).toBeDefined()
    vi.advanceTimersByTime(30_000)
    expect(arrivals.mark('left')).toBeUndefined()
    await tell('left')
    await arrivals.hold('left')
    expect(arrivals.mark('left')).toBeDefined()
    expect(arrivals.mark('left')).not.toBe(mark)
  })
})

describe('a server that says nothing any more', () => {
  it('is found out by itself, and what it had is subscribed anew once it is back', async () => {
    const { arrivals, arrived, resubscribed } = arrivalsHere()
    await arrivals.hold('quiet')
    server.freeze()
    await until('it is found out', () => !arrivals.isListening('quiet'), 10_000)
    server.thaw()
    await until('it is subscribed', () => arrivals.isListening('quiet'), 10_000)
    expect(resubscribed).toEqual([['quiet']])
    await tell('quiet')
    await until('it is told', () => arrived.includes('quiet'))
  })
})

describe('a subscription that cannot be made', () => {
  it('is store_unavailable for whoever wants to hold, and made when it is wanted again', async () => {
    const { arrivals, arrived } = arrivalsHere()
    await server.kill()
    await expect(arrivals.hold('later')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(arrivals.isListening('later')).toBe(false)
    await server.start()
    await until('it can be held', () =>
      arrivals.hold('later').then(
        () => true,
        () => false,
      ),
    )
    await tell('later')
    await until('it is told', () => arrived.includes('later'))
  })
})
