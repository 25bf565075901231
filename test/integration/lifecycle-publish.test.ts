/** From a producer's call to a receiver's log: what is queued, once, and what a caller is told (design, section 3). */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SetSigner } from '../../src/signing/sign-set.ts'
import { callAdmin, openLab } from '../support/feed.ts'
import { foreignSet, HAPPENED } from '../support/foreign-set.ts'
import { commandsDuring } from '../support/monitor.ts'
import { isCluster } from '../support/redis.ts'

const lab = await openLab()
const { transmitter } = lab
const batch = (items: unknown[]) => callAdmin(transmitter, 'POST', '/v1/events/batch', { items })

describe('a published event', () => {
  it('is in the log of each receiver when 202 is answered, as one SET with its own jti and audience', async () => {
    const [a, b] = [await lab.feed(), await lab.feed()]
    const { status, body } = await a.tryPublish({ id: 'both', receivers: [a.id, b.id] })
    expect(status).toBe(202)
    expect(body).toEqual({
      id: 'both',
      deliveries: [
        { receiver: a.id, jti: expect.any(String), status: 'queued' },
        { receiver: b.id, jti: expect.any(String), status: 'queued' },
      ],
    })
    const [jtiA, jtiB] = body.deliveries.map(({ jti }: { jti: string }) => jti)
    expect(jtiA).not.toBe(jtiB)
    const [claimsA, claimsB] = [(await a.locate(jtiA)).claims, (await b.locate(jtiB)).claims]
    expect(claimsA).toMatchObject({ jti: jtiA, aud: a.audience, iss: transmitter.issuer })
    expect(claimsB).toMatchObject({ jti: jtiB, aud: b.audience, txn: claimsA.txn })
    expect((await a.check()).states.get(jtiA)).toBe('queued')
    expect((await b.check()).states.get(jtiB)).toBe('queued')
  })

  // MONITOR is of one server.
  it.skipIf(isCluster())('that names its receivers costs one script each and nothing beside', async () => {
    const feed = await lab.feed()
    await feed.publish()
    const count = 40
    const commands = await commandsDuring(lab.prefix, async () => {
      for (let i = 0; i < count; i++) await feed.publish()
    })
    const appends = commands.filter(([name, , , key]) => name?.toLowerCase() === 'evalsha' && key === feed.keys.log)
    expect(appends).toHaveLength(count)
    // What the process looks at by itself, now and then.
    expect(commands.length - count).toBeLessThan(count / 2)
  })

  it.skipIf(isCluster())('shares scripts with others for its receiver, and each call is told of its own', async () => {
    const feed = await lab.feed()
    await feed.publish()
    const ids = Array.from({ length: 30 }, (_, i) => `shared-${i}`)
    const publish = async (id: string, as: string) => {
      const { status, body } = await feed.tryPublish({ id, sub_id: { format: 'opaque', id: as } })
      return { id, as, status, jti: body.deliveries[0].jti }
    }
    let answers: Awaited<ReturnType<typeof publish>>[] = []
    const commands = await commandsDuring(lab.prefix, async () => {
      answers = await Promise.all(ids.flatMap(id => [publish(id, 'one'), publish(id, 'other')]))
    })
    // Of two that are told apart by what they say, one is queued and the other refused.
    for (const id of ids) {
      const [taken, refused] = answers.filter(each => each.id === id).toSorted((a, b) => a.status - b.status)
      expect([taken?.status, refused?.status]).toEqual([202, 409])
      expect((await feed.locate(taken?.jti)).claims.sub_id.id).toBe(taken?.as)
    }
    const appends = commands.filter(([name, , , key]) => name?.toLowerCase() === 'evalsha' && key === feed.keys.log)
    expect(appends.length).toBeGreaterThan(0)
    expect(appends.length).toBeLessThan(answers.length)
  })

  it('goes to every receiver subscribed to its type when it names none', async () => {
    const type = `${HAPPENED}/${lab.prefix}`
    const subscribed = await lab.feed({ eventTypes: [type] })
    const all = await lab.feed({ eventTypes: ['*'] })
    const other = await lab.feed({ eventTypes: [`${type}/else`] })
    const { body } = await callAdmin(transmitter, 'POST', '/v1/events', { id: 'typed', events: { [type]: {} } })
    const reached = body.deliveries.map(({ receiver }: { receiver: string }) => receiver)
    expect(reached).toContain(subscribed.id)
    expect(reached).toContain(all.id)
    expect(reached).not.toContain(other.id)
  })

  it('is 202 without deliveries when nobody is subscribed to it', async () => {
    const { transmitter: alone } = await openLab()
    const { status, body } = await callAdmin(alone, 'POST', '/v1/events', { id: 'nobody', events: { [HAPPENED]: {} } })
    expect([status, body]).toEqual([202, { id: 'nobody', deliveries: [] }])
  })

  it('is 400 when it names an unknown receiver, and reaches none of the others', async () => {
    const feed = await lab.feed()
    const { status, body } = await feed.tryPublish({ id: 'lost', receivers: [feed.id, 'nobody-here'] })
    expect(status).toBe(400)
    expect(body.faults).toEqual([{ at: '/receivers/1', message: expect.any(String) }])
    expect(await feed.check()).toMatchObject({ queued: 0 })
  })

  it('names every fault and reaches nobody when it is not valid', async () => {
    const feed = await lab.feed()
    const { status, body } = await feed.tryPublish({ id: '', events: {}, toe: 'now', surprise: 1 })
    expect(status).toBe(400)
    expect(body.faults.length).toBeGreaterThanOrEqual(4)
    expect(await feed.check()).toMatchObject({ queued: 0 })
  })
})

describe('an event that makes SETs longer than they may be', () => {
  it('is 413, beside others that are taken, and not signed even once, however many receivers it is for', async () => {
    const [a, b] = [await lab.feed(), await lab.feed()]
    const signings = [vi.spyOn(SetSigner.prototype, 'sign'), vi.spyOn(SetSigner.prototype, 'signAmongMany')]
    onTestFinished(() => void vi.restoreAllMocks())
    const events = { 'urn:example:long': { text: 'x'.repeat(65_536) } }
    const long = { id: 'long', receivers: [a.id, b.id], events }
    const small = { id: 'small', receivers: [a.id], events: { 'urn:example:short': {} } }
    expect(await a.tryPublish(long)).toMatchObject({ status: 413, body: { code: 'too_large' } })
    const { body } = await batch([long, small])
    expect(body.results).toMatchObject([
      { status: 413, code: 'too_large' },
      { status: 202, deliveries: [{ receiver: a.id, status: 'queued' }] },
    ])
    expect(signings.flatMap(({ mock }) => mock.calls)).toHaveLength(1)
    expect((await a.check()).states.size).toBe(1)
    expect((await b.check()).states.size).toBe(0)
  })

  it('is 413 also where the signature alone is too much', async () => {
    const feed = await lab.feed()
    const sized = async (bytes: number) => {
      const events = { 'urn:example:long': { text: 'x'.repeat(bytes) } }
      return (await feed.tryPublish({ id: `sized-${bytes}`, receivers: [feed.id], events })).status
    }
    let [fits, isTooLong] = [40_000, 60_000]
    while (isTooLong - fits > 1) {
      const middle = Math.floor((fits + isTooLong) / 2)
      if ((await sized(middle)) === 202) fits = middle
      else isTooLong = middle
    }
    expect(await sized(isTooLong)).toBe(413)
    const page = await feed.pollNow({ maxEvents: 1000 })
    const longest = Math.max(...[...page.sets.values()].map(set => set.length))
    expect(longest).toBeGreaterThan(65_536 - 8)
    expect(longest).toBeLessThanOrEqual(65_536)
  })
})

describe('an event published again under the same id', () => {
  it('is a duplicate while it is queued, in flight, owed again and parked, and queues no second SET', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })
    const jti = await feed.publish('again')
    const repeat = async () => {
      const { status, body } = await feed.tryPublish({ id: 'again' })
      expect([status, body.deliveries]).toEqual([202, [{ receiver: feed.id, jti, status: 'duplicate' }]])
      return feed.check()
    }
    expect(await repeat()).toMatchObject({ queued: 1 })
    expect((await feed.pollNow()).jtis).toEqual([jti])
    expect(await repeat()).toMatchObject({ queued: 0, inFlight: 1 })
    await feed.age(60_000)
    await feed.pollNow({ maxEvents: 0 })
    expect(await repeat()).toMatchObject({ owedAgain: 1, inFlight: 0 })
    await feed.report([jti])
    expect(await repeat()).toMatchObject({ parked: 1, owedAgain: 0 })
  })

  it('is a duplicate after it was acknowledged, and is not delivered again (guarantee 2)', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish('acknowledged')
    await feed.pollNow()
    await feed.ack([jti])
    const { body } = await feed.tryPublish({ id: 'acknowledged' })
    expect(body.deliveries).toEqual([{ receiver: feed.id, jti, status: 'duplicate' }])
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0 })
  })

  it('is a duplicate after it was discarded', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish('discarded')
    await feed.pollNow()
    await feed.report([jti])
    expect((await feed.admin('DELETE', '/parked', { jtis: [jti] })).status).toBe(200)
    expect((await feed.tryPublish({ id: 'discarded' })).body.deliveries[0]).toMatchObject({ jti, status: 'duplicate' })
  })

  it('is 409 with other content, and leaves the first SET as it was (D-27)', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish('once', { sub_id: { format: 'opaque', id: 'one' } })
    const { status, body } = await feed.tryPublish({ id: 'once', sub_id: { format: 'opaque', id: 'two' } })
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'conflict', deliveries: [{ receiver: feed.id, jti, status: 'conflict' }] })
    expect((await feed.locate(jti)).claims.sub_id.id).toBe('one')
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })

  it('is queued once when 20 calls race, through two processes', async () => {
    const feed = await lab.feed()
    const other = await lab.another()
    const calls = Array.from({ length: 20 }, (_, i) =>
      feed.tryPublish({ id: 'race' }, i % 2 === 0 ? transmitter : other),
    )
    const statuses = (await Promise.all(calls)).map(({ body }) => body.deliveries[0].status)
    expect(statuses.filter(status => status === 'queued')).toHaveLength(1)
    expect(statuses.filter(status => status === 'duplicate')).toHaveLength(19)
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })

  it('belongs to its producer: another producer with the same id makes another SET', async () => {
    const feed = await lab.feed()
    const publishAs = async (producer: string) => {
      const response = await fetch(`${transmitter.internalUrl}/v1/events`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await transmitter.publishToken(producer)}`,
        },
        body: JSON.stringify({ id: 'mine', receivers: [feed.id], events: { [HAPPENED]: {} } }),
      })
      const { deliveries } = (await response.json()) as { deliveries: { jti: string; status: string }[] }
      return deliveries[0]
    }
    const [one, two] = [await publishAs('one'), await publishAs('two')]
    expect([one?.status, two?.status]).toEqual(['queued', 'queued'])
    expect(one?.jti).not.toBe(two?.jti)
    expect(await publishAs('one')).toEqual({ ...one, status: 'duplicate' })
  })
})

describe('a batch', () => {
  it('answers each event for itself, in order', async () => {
    const feed = await lab.feed()
    const event = (id: string, more: object = {}) => ({ id, receivers: [feed.id], events: { [HAPPENED]: {} }, ...more })
    const { status, body } = await batch([
      event('b1'),
      event('b2', { events: {} }),
      event('b1'),
      event('b1', { txn: 'other' }),
      event('b3', { receivers: ['nobody-here'] }),
      event('b4'),
    ])
    expect(status).toBe(200)
    expect(body.results.map((result: { status: number }) => result.status)).toEqual([202, 400, 202, 409, 400, 202])
    expect(body.results[0].deliveries[0].status).toBe('queued')
    expect(body.results[1]).toMatchObject({ code: 'bad_request', faults: [{ at: '/events' }] })
    expect(body.results[2].deliveries[0].status).toBe('duplicate')
    expect(body.results[3]).toMatchObject({ code: 'conflict' })
    expect(await feed.check()).toMatchObject({ queued: 2 })
  })

  it('is refused whole over 1 000 events', async () => {
    const { status } = await batch(Array.from({ length: 1001 }, () => ({})))
    expect(status).toBe(400)
  })

  it('keeps its order in the log', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(250)
    const page = await feed.pollNow({ maxEvents: 1000 })
    expect(page.jtis).toEqual(jtis.slice(0, 100))
    expect((await feed.pollNow()).jtis).toEqual(jtis.slice(100, 200))
    expect((await feed.pollNow()).jtis).toEqual(jtis.slice(200))
  })
})

describe('a receiver that is full', () => {
  it('makes the call 429, the others keep what they took, and a retry with the same id completes it', async () => {
    const full = await lab.feed({ settings: { backlogMax: 1 } })
    const free = await lab.feed()
    const first = await full.publish()
    const event = { id: 'partly', receivers: [free.id, full.id] }
    const refused = await full.tryPublish(event)
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.body).toMatchObject({
      code: 'backlog_full',
      id: 'partly',
      deliveries: [
        { receiver: free.id, status: 'queued' },
        { receiver: full.id, status: 'full' },
      ],
    })
    expect(await free.check()).toMatchObject({ queued: 1 })
    expect(await full.check()).toMatchObject({ queued: 1 })

    await full.pollNow()
    await full.ack([first])
    const retried = await full.tryPublish(event)
    expect(retried.status).toBe(202)
    expect(retried.body.deliveries).toMatchObject([
      { receiver: free.id, status: 'duplicate' },
      { receiver: full.id, status: 'queued' },
    ])
    expect(await free.check()).toMatchObject({ queued: 1 })
    expect(await full.check()).toMatchObject({ queued: 1 })
  })

  it('counts what is in flight, owed again and parked until it is final', async () => {
    const feed = await lab.feed({ settings: { backlogMax: 1 } })
    const jti = await feed.publish()
    const status = async () => (await feed.tryPublish({ id: 'next' })).status
    await feed.pollNow()
    expect(await status()).toBe(429)
    await feed.age(60_000)
    await feed.pollNow({ maxEvents: 0 })
    expect(await status()).toBe(429)
    await feed.report([jti])
    expect(await status()).toBe(429)
    await feed.admin('DELETE', '/parked', { all: true })
    expect(await status()).toBe(202)
    await feed.check()
  })

  it('is told by bytes as well as by count', async () => {
    const { feed: open } = await openLab({ BACKLOG_BYTES_MAX: '3000' })
    const feed = await open()
    await feed.append('large', 2000)
    const refused = await feed.tryAppend(await foreignSet('more', feed.audience, 1500))
    expect([refused.status, refused.body.code]).toEqual([429, 'backlog_full'])
    await feed.pollNow({})
    await feed.ack(['large'])
    await feed.append('more', 1500)
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })
})
