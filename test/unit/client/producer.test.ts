import { describe, expect, it } from 'vitest'
import {
  CAEP,
  createProducer,
  type ProducerOptions,
  PublishError,
  type SecurityEvent,
} from '../../../src/client/producer.ts'
import { scriptedServer } from './scripted-server.ts'

const event = (more: Partial<SecurityEvent> = {}): SecurityEvent => ({
  events: { [CAEP.sessionRevoked]: { event_timestamp: 1 } },
  sub_id: { format: 'email', email: 'a@example.com' },
  ...more,
})

const queued = (receiver: string) => ({ receiver, jti: `j-${receiver}`, status: 'queued' })
const duplicate = (receiver: string) => ({ receiver, jti: `j-${receiver}`, status: 'duplicate' })

async function setUp(options: Partial<ProducerOptions> = {}) {
  const server = await scriptedServer()
  const producer = createProducer({
    url: server.url,
    token: 'sst_test',
    backoff: { baseMs: 1, capMs: 5 },
    ...options,
  })
  return { server, producer }
}

const failure = (promise: Promise<unknown>): Promise<PublishError> =>
  promise.then(
    () => {
      throw new Error('it was published')
    },
    error => error,
  )

describe('publishing one event', () => {
  it('always sends an id and the token, and gives back who took it', async () => {
    const { server, producer } = await setUp()
    const publishing = producer.publish(event())
    const taken = await server.next()
    expect(taken.path).toBe('/v1/events')
    expect(taken.headers.authorization).toBe('Bearer sst_test')
    expect(taken.body.id).toMatch(/^[0-9a-f-]{36}$/)
    taken.answer(202, { id: taken.body.id, deliveries: [queued('a')] })
    expect(await publishing).toEqual({ id: taken.body.id, deliveries: [queued('a')] })
  })

  it('repeats the very same text when the answer is lost, whatever became of the object', async () => {
    const { server, producer } = await setUp()
    const mine = { ...event({ id: 'e-1' }) } as { id: string; txn?: string }
    const publishing = producer.publish(mine as SecurityEvent)
    const first = await server.next()
    mine.txn = 'changed meanwhile'
    first.drop()
    const second = await server.next()
    expect(second.text).toBe(first.text)
    second.answer(202, { id: 'e-1', deliveries: [duplicate('a')] })
    expect((await publishing).deliveries).toEqual([duplicate('a')])
  })

  it.each([408, 429, 500, 502, 503, 504])('is tried again after %i', async status => {
    const { server, producer } = await setUp()
    const publishing = producer.publish(event({ id: 'e-1' }))
    const first = await server.next()
    first.answer(status, '<html>')
    const second = await server.next()
    second.answer(202, { id: 'e-1', deliveries: [] })
    expect(await publishing).toEqual({ id: 'e-1', deliveries: [] })
  })

  it('is not tried again when it is refused, and names every fault', async () => {
    const { server, producer } = await setUp()
    const publishing = failure(producer.publish(event({ id: 'e-1' })))
    const faults = [{ at: '/events', message: 'is empty' }]
    ;(await server.next()).answer(400, { code: 'bad_request', detail: 'The event is not valid.', faults })
    const error = await publishing
    expect(error).toBeInstanceOf(PublishError)
    expect(error).toMatchObject({ id: 'e-1', code: 'bad_request', status: 400, faults })
    expect(error.message).toBe('The event is not valid.')
    expect(server.waiting).toBe(0)
  })

  it('takes no answer for a transmitter’s that is not one', async () => {
    const { server, producer } = await setUp()
    const publishing = producer.publish(event({ id: 'e-1' }))
    ;(await server.next()).answer(200, '<html>please sign in</html>')
    ;(await server.next()).answer(202, { id: 'e-1', deliveries: [queued('a')] })
    expect((await publishing).deliveries).toEqual([queued('a')])
  })

  it('asks for the token before every attempt', async () => {
    let asked = 0
    const { server, producer } = await setUp({ token: async () => `t-${++asked}` })
    const publishing = producer.publish(event({ id: 'e-1' }))
    const first = await server.next()
    expect(first.headers.authorization).toBe('Bearer t-1')
    first.drop()
    const second = await server.next()
    expect(second.headers.authorization).toBe('Bearer t-2')
    second.answer(202, { id: 'e-1', deliveries: [] })
    await publishing
  })

  it('refuses to be set up so that it cannot work', () => {
    expect(() => createProducer({ url: 'http://a.example', token: 't' })).toThrow('plain HTTP')
    expect(() => createProducer({ url: 'https://a.example', token: 't', batchMax: 1001 })).toThrow('batchMax')
    expect(() => createProducer({ url: 'https://a.example', token: 't', queueMax: 0 })).toThrow('queueMax')
  })
})

describe('a publish that only some receivers took', () => {
  it('is completed by repeating it once the transmitter allows, and tells who took it when', async () => {
    const { server, producer } = await setUp()
    const publishing = producer.publish(event({ id: 'e-1' }))
    const first = await server.next()
    const atMs = performance.now()
    const full = { receiver: 'b', jti: 'j-b', status: 'full' }
    first.answer(429, { code: 'backlog_full', deliveries: [queued('a'), full] }, { 'retry-after': '1' })
    const second = await server.next()
    expect(performance.now() - atMs).toBeGreaterThan(950)
    expect(second.text).toBe(first.text)
    second.answer(202, { id: 'e-1', deliveries: [duplicate('a'), queued('b')] })
    expect((await publishing).deliveries).toEqual([queued('a'), queued('b')])
  })

  it('does not hold back events for other receivers', async () => {
    const { server, producer } = await setUp({ giveUpAfterMs: 60_000 })
    const controller = new AbortController()
    const stuck = producer.publish(event({ id: 'e-1', receivers: ['b'] }), { signal: controller.signal })
    const full = { receiver: 'b', jti: 'j-b', status: 'full' }
    ;(await server.next()).answer(429, { code: 'backlog_full', deliveries: [full] }, { 'retry-after': '30' })
    const other = producer.publish(event({ id: 'e-2', receivers: ['a'] }))
    const taken = await server.next()
    expect(taken.body.id).toBe('e-2')
    taken.answer(202, { id: 'e-2', deliveries: [queued('a')] })
    await other
    controller.abort(new Error('enough'))
    await expect(stuck).rejects.toThrow('enough')
    expect(producer.outstanding).toBe(0)
  })

  it('tells who took it when it is given up', async () => {
    const { server, producer } = await setUp({ giveUpAfterMs: 100 })
    const publishing = failure(producer.publish(event({ id: 'e-1' })))
    const full = { receiver: 'b', jti: 'j-b', status: 'full' }
    ;(await server.next()).answer(
      429,
      { code: 'backlog_full', detail: 'Full.', deliveries: [queued('a'), full] },
      { 'retry-after': '5' },
    )
    expect(await publishing).toMatchObject({ code: 'gave_up', status: 429, deliveries: [queued('a')] })
  })
})

describe('many events', () => {
  it('handed over together travel in one request; each has its own outcome, in order', async () => {
    const { server, producer } = await setUp()
    const outcomes = producer.publishBatch([event({ id: 'e-1' }), event({ id: 'e-2' }), event({ id: 'e-3' })])
    const taken = await server.next()
    expect(taken.path).toBe('/v1/events/batch')
    expect(taken.body.items.map((item: { id: string }) => item.id)).toEqual(['e-1', 'e-2', 'e-3'])
    taken.answer(200, {
      results: [
        { status: 202, id: 'e-1', deliveries: [queued('a')] },
        { status: 400, code: 'bad_request', detail: 'No.' },
        { status: 503, code: 'store_unavailable', deliveries: [] },
      ],
    })
    const again = await server.next()
    expect(again.body.id).toBe('e-3')
    again.answer(202, { id: 'e-3', deliveries: [queued('a')] })
    expect(await outcomes).toMatchObject([
      { ok: true, published: { id: 'e-1' } },
      { ok: false, error: { id: 'e-2', code: 'bad_request' } },
      { ok: true, published: { id: 'e-3' } },
    ])
  })

  it('wait while the transmitter as a whole is away, and then all go', async () => {
    const { server, producer } = await setUp({ concurrency: 1 })
    const first = producer.publish(event({ id: 'e-1' }))
    const lost = await server.next()
    const second = producer.publish(event({ id: 'e-2' }))
    const atMs = performance.now()
    lost.answer(503, { code: 'store_unavailable', detail: 'Away.' }, { 'retry-after': '1' })
    const taken = await server.next()
    expect(performance.now() - atMs).toBeGreaterThan(950)
    const ids = taken.body.items.map((item: { id: string }) => item.id)
    expect(ids.toSorted()).toEqual(['e-1', 'e-2'])
    taken.answer(200, { results: ids.map((id: string) => ({ status: 202, id, deliveries: [] })) })
    await Promise.all([first, second])
  })

  it('are halved until they fit when a request is too large', async () => {
    const { server, producer } = await setUp({ concurrency: 1 })
    const ids = ['e-1', 'e-2', 'e-3', 'e-4']
    const outcomes = producer.publishBatch(ids.map(id => event({ id })))
    ;(await server.next()).answer(413, { code: 'too_large', detail: 'Too large.' })
    for (let i = 0; i < 2; i++) {
      const half = await server.next()
      expect(half.body.items).toHaveLength(2)
      half.answer(200, {
        results: half.body.items.map((item: { id: string }) => ({ status: 202, id: item.id, deliveries: [] })),
      })
    }
    expect((await outcomes).every(outcome => outcome.ok)).toBe(true)
  })

  it('stay within the bytes of a request', async () => {
    const { server, producer } = await setUp({ concurrency: 1, batchBytesMax: 400 })
    const outcomes = producer.publishBatch(['e-1', 'e-2', 'e-3'].map(id => event({ id, txn: 'x'.repeat(100) })))
    const answered: string[] = []
    while (answered.length < 3) {
      const taken = await server.next()
      expect(taken.text.length).toBeLessThan(450)
      answered.push(taken.body.id)
      taken.answer(202, { id: taken.body.id, deliveries: [] })
    }
    expect((await outcomes).map(outcome => outcome.ok && outcome.published.id)).toEqual(['e-1', 'e-2', 'e-3'])
  })

  it('are bounded in number: what does not fit is refused at once, and room is told', async () => {
    const { server, producer } = await setUp({ queueMax: 2 })
    const all = [producer.publish(event({ id: 'e-1' })), producer.publish(event({ id: 'e-2' }))]
    await expect(producer.publish(event({ id: 'e-3' }))).rejects.toMatchObject({ code: 'queue_full', id: 'e-3' })
    const taken = await server.next()
    const room = producer.whenRoom()
    taken.answer(200, {
      results: ['e-1', 'e-2'].map(id => ({ status: 202, id, deliveries: [] })),
    })
    await room
    await Promise.all(all)
    expect(producer.outstanding).toBe(0)
  })

  it('are read from a source only as there is room, and outcomes come before the source ends', async () => {
    const { server, producer } = await setUp({ queueMax: 4, batchMax: 2, concurrency: 1 })
    let read = 0
    const source = async function* () {
      for (let i = 0; i < 20; i++) {
        read++
        yield event({ id: `e-${i}` })
      }
    }
    const seen: string[] = []
    const consuming = (async () => {
      for await (const outcome of producer.publishAll(source())) {
        if (outcome.ok) seen.push(outcome.published.id)
        expect(read - seen.length).toBeLessThanOrEqual(6)
      }
    })()
    let answered = 0
    while (answered < 20) {
      const taken = await server.next()
      const items: { id: string }[] = taken.body.items ?? [taken.body]
      answered += items.length
      const results = items.map(({ id }) => ({ status: 202, id, deliveries: [] }))
      if (taken.body.items === undefined) taken.answer(202, results[0])
      else taken.answer(200, { results })
    }
    await consuming
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `e-${i}`))
  })

  it('give an outcome while the source is silent', async () => {
    const { server, producer } = await setUp()
    const silent = Promise.withResolvers<void>()
    const source = async function* () {
      yield event({ id: 'e-1' })
      await silent.promise
    }
    const outcomes = producer.publishAll(source())
    const first = outcomes.next()
    ;(await server.next()).answer(202, { id: 'e-1', deliveries: [] })
    expect((await first).value).toMatchObject({ ok: true, published: { id: 'e-1' } })
    silent.resolve()
    expect((await outcomes.next()).done).toBe(true)
  })

  it('that a failing source gave before are seen through', async () => {
    const { server, producer } = await setUp()
    const source = async function* () {
      yield event({ id: 'e-1' })
      throw new Error('the source broke')
    }
    const outcomes = producer.publishAll(source())
    const first = outcomes.next()
    ;(await server.next()).answer(202, { id: 'e-1', deliveries: [] })
    expect((await first).value).toMatchObject({ ok: true })
    await expect(outcomes.next()).rejects.toThrow('the source broke')
  })
})

describe('stopping', () => {
  it('an aborted signal ends the waiting and the request', async () => {
    const { server, producer } = await setUp()
    const controller = new AbortController()
    const publishing = producer.publish(event(), { signal: controller.signal })
    const taken = await server.next()
    controller.abort(new Error('no longer wanted'))
    await expect(publishing).rejects.toThrow('no longer wanted')
    await taken.gone
    await expect(producer.publish(event(), { signal: controller.signal })).rejects.toThrow('no longer wanted')
  })

  it('an aborted event leaves the others of its request alone', async () => {
    const { server, producer } = await setUp()
    const controller = new AbortController()
    const one = producer.publish(event({ id: 'e-1' }), { signal: controller.signal })
    const two = producer.publish(event({ id: 'e-2' }))
    const taken = await server.next()
    controller.abort(new Error('no longer wanted'))
    await expect(one).rejects.toThrow('no longer wanted')
    taken.answer(200, { results: ['e-1', 'e-2'].map(id => ({ status: 202, id, deliveries: [] })) })
    expect(await two).toEqual({ id: 'e-2', deliveries: [] })
  })

  it('close takes no more, and waits for what is open', async () => {
    const { server, producer } = await setUp()
    const publishing = producer.publish(event({ id: 'e-1' }))
    const closing = producer.close()
    await expect(producer.publish(event())).rejects.toMatchObject({ code: 'closed' })
    ;(await server.next()).answer(202, { id: 'e-1', deliveries: [] })
    await closing
    await publishing
  })

  it('close gives up what is open once its signal aborts', async () => {
    const { producer } = await setUp()
    const publishing = producer.publish(event())
    const reason = new Error('out of time')
    const closing = producer.close({ signal: AbortSignal.abort(reason) })
    await expect(publishing).rejects.toBe(reason)
    await closing
  })
})
