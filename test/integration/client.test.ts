/** The client libraries against a real transmitter, over a network that fails when the test says so. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { CAEP, createProducer, type SecurityEvent } from '../../src/client/producer.ts'
import {
  createReceiver,
  type ReceiverOptions,
  type ReceiverProblem,
  type SetHandler,
} from '../../src/client/receiver.ts'
import { testPrefix } from '../support/redis.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { testIssuer } from '../unit/client/issuer.ts'

const transmitter = await startTransmitter()
const backoff = { baseMs: 5, capMs: 50 }

const event = (id: string, receivers: string[]): SecurityEvent => ({
  id,
  receivers,
  sub_id: { format: 'email', email: 'a@example.com' },
  events: { [CAEP.sessionRevoked]: { event_timestamp: 1 } },
})

async function producerAt(url = transmitter.internalUrl) {
  return createProducer({ url, token: await transmitter.publishToken('tests'), backoff })
}

interface Stats {
  queued: number
  inFlight: number
  owedAgain: number
  parked: number
  published: number
  acked: number
}

const statsOf = (id: string, at: TestTransmitter = transmitter) => at.admin<Stats>('GET', `/v1/receivers/${id}/stats`)

function receive(options: Pick<ReceiverOptions, 'pollUrl' | 'token' | 'audience'>, handler: SetHandler) {
  const problems: ReceiverProblem[] = []
  const receiver = createReceiver({
    issuers: [{ issuer: transmitter.issuer }],
    backoff,
    onProblem: problem => void problems.push(problem),
    ...options,
  })
  const controller = new AbortController()
  const done = receiver.run(handler, { signal: controller.signal })
  done.catch(() => undefined)
  onTestFinished(() => controller.abort())
  return {
    problems,
    done,
    stop: async () => {
      controller.abort()
      await done
    },
  }
}

describe('from producer to receiver', () => {
  it('every event arrives verified, once, and is acknowledged when the receiver has stopped', async () => {
    const feed = await transmitter.addReceiver('all')
    const seen: string[] = []
    const receiving = receive(feed, set => void seen.push(set.jti))
    const producer = await producerAt()
    const outcomes = await producer.publishBatch(Array.from({ length: 250 }, (_, i) => event(`e-${i}`, ['all'])))
    await producer.close()
    const jtis = outcomes.map(outcome => (outcome.ok ? outcome.published.deliveries[0]?.jti : undefined))
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(250)
    await receiving.stop()
    expect(seen.toSorted()).toEqual(jtis.toSorted())
    expect(await statsOf('all')).toMatchObject({ published: 250, acked: 250, queued: 0, inFlight: 0 })
    expect(receiving.problems).toEqual([])
  })

  it('what is published while a poll is held is received at once', async () => {
    const feed = await transmitter.addReceiver('held')
    const arrived = Promise.withResolvers<string>()
    const receiving = receive(feed, set => arrived.resolve(set.jti))
    await expect.poll(async () => (await transmitter.admin('GET', '/v1/receivers/held/stats')).heldPolls).toBe(1)
    const producer = await producerAt()
    const { deliveries } = await producer.publish(event('e', ['held']))
    expect(await arrived.promise).toBe(deliveries[0]?.jti)
    await receiving.stop()
  })
})

describe('a lost answer', () => {
  it('to a publish queues no second SET', async () => {
    await transmitter.addReceiver('lost-publish')
    const network = await tcpProxy(transmitter.internalUrl)
    const producer = await producerAt(network.url)
    const lost = network.loseNextAnswer()
    const published = await producer.publish(event('e', ['lost-publish']))
    await lost
    expect(published.deliveries).toMatchObject([{ status: 'duplicate' }])
    expect(await statsOf('lost-publish')).toMatchObject({ published: 1, queued: 1 })
  })

  it('to a poll that acknowledged is followed by the same acknowledgement, which is fine', async () => {
    const feed = await transmitter.addReceiver('lost-ack')
    const network = await tcpProxy(transmitter.publicUrl)
    const producer = await producerAt()
    await producer.publish(event('e-1', ['lost-ack']))
    const seen: string[] = []
    const firstStored = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const receiving = receive(
      { ...feed, pollUrl: feed.pollUrl.replace(transmitter.publicUrl, network.url) },
      async set => {
        seen.push(set.jti)
        firstStored.resolve()
        await goOn.promise
      },
    )
    await firstStored.promise
    // Queued before the poll that acknowledges, so that its answer, which is lost, carries a SET.
    await producer.publish(event('e-2', ['lost-ack']))
    const lost = network.loseNextAnswer()
    goOn.resolve()
    await lost
    expect(await statsOf('lost-ack')).toMatchObject({ acked: 1 })
    await expect.poll(() => receiving.problems.map(({ kind }) => kind)).toEqual(['poll_failed'])
    await receiving.stop()
    expect(await statsOf('lost-ack')).toMatchObject({ acked: 1, inFlight: 1, parked: 0 })
    expect(seen).toHaveLength(1)
  })
})

describe('a publish that one receiver cannot take now', () => {
  it('is completed once it can, and the others get it once', async () => {
    await transmitter.addReceiver('roomy')
    const feed = await transmitter.addReceiver('narrow', { settings: { backlogMax: 1 } })
    const producer = await producerAt()
    await producer.publish(event('e-1', ['narrow']))
    const completing = producer.publish(event('e-2', ['roomy', 'narrow']))
    await expect.poll(async () => (await statsOf('roomy')).published).toBe(1)
    const seen: string[] = []
    const receiving = receive(feed, set => void seen.push(set.jti))
    const { deliveries } = await completing
    expect(deliveries.map(({ receiver, status }) => `${receiver} ${status}`).toSorted()).toEqual([
      'narrow queued',
      'roomy queued',
    ])
    await expect.poll(() => seen.length).toBe(2)
    await receiving.stop()
    expect(await statsOf('roomy')).toMatchObject({ published: 1, queued: 1 })
    expect(await statsOf('narrow')).toMatchObject({ published: 2, acked: 2 })
  })
})

describe('what the receiver does not take', () => {
  it('does not verify: it is parked with code, description and language', async () => {
    const feed = await transmitter.addReceiver('suspicious')
    const stranger = await testIssuer('https://stranger.example')
    const token = await stranger.token({ aud: feed.audience, jti: 'stranger-1' })
    const appended = await fetch(`${transmitter.internalUrl}/v1/receivers/suspicious/sets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${transmitter.adminToken}`, 'content-type': 'application/secevent+jwt' },
      body: token,
    })
    expect(appended.status).toBe(202)
    const receiving = receive(feed, () => expect.unreachable())
    await expect.poll(() => receiving.problems.length).toBe(1)
    await receiving.stop()
    const { items } = await transmitter.admin<{ items: object[] }>('GET', '/v1/receivers/suspicious/parked')
    expect(items).toMatchObject([
      { jti: 'stranger-1', err: 'invalid_issuer', description: expect.any(String), language: 'en' },
    ])
  })

  it('cannot be stored now: it comes again, and nobody is told why (P-93)', async () => {
    const feed = await transmitter.addReceiver('forgetful', { settings: { redeliverAfterMs: 100 } })
    const producer = await producerAt()
    await producer.publish(event('e', ['forgetful']))
    let calls = 0
    const stored = Promise.withResolvers<void>()
    const receiving = receive(feed, () => {
      if (++calls === 1) throw new Error('the database is away')
      stored.resolve()
    })
    await stored.promise
    await receiving.stop()
    expect(calls).toBe(2)
    expect(await statsOf('forgetful')).toMatchObject({ acked: 1, parked: 0 })
    expect(await transmitter.admin('GET', '/v1/receivers/forgetful/errors')).toMatchObject({ items: [] })
  })
})

describe('a transmitter that is replaced', () => {
  it('is polled and published to without anything lost or twice', async () => {
    const KEY_PREFIX = testPrefix()
    const first = await startTransmitter({ KEY_PREFIX })
    const feed = await first.addReceiver('steady')
    const token = await first.publishToken('tests')
    const publicNetwork = await tcpProxy(first.publicUrl)
    const internalNetwork = await tcpProxy(first.internalUrl)
    const seen: string[] = []
    const receiving = receive(
      { ...feed, pollUrl: feed.pollUrl.replace(first.publicUrl, publicNetwork.url) },
      set => void seen.push(set.jti),
    )
    const producer = createProducer({ url: internalNetwork.url, token, backoff })
    await producer.publish(event('e-1', ['steady']))
    await expect.poll(() => seen.length).toBe(1)

    const second = await startTransmitter({ KEY_PREFIX, KEYS_DIR: first.keysDir })
    const publishing = Array.from({ length: 50 }, (_, i) => producer.publish(event(`f-${i}`, ['steady'])))
    publicNetwork.target = second.publicUrl
    internalNetwork.target = second.internalUrl
    publicNetwork.breakConnections()
    internalNetwork.breakConnections()
    await first.stop()

    await Promise.all(publishing)
    await producer.close()
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(51)
    await receiving.stop()
    expect(new Set(seen).size).toBe(51)
    expect(await statsOf('steady', second)).toMatchObject({ published: 51, acked: 51 })
  })
})
