import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createReceiver,
  type Receiver,
  type ReceiverOptions,
  type ReceiverProblem,
  type SetHandler,
} from '../../../src/client/receiver.ts'
import { AUDIENCE, testIssuer } from './issuer.ts'
import { type ScriptedServer, scriptedServer, type Taken } from './scripted-server.ts'

const issuer = await testIssuer()
const tokens = new Map<string, string>()
for (const jti of ['j-1', 'j-2', 'j-3', '__proto__', '10']) tokens.set(jti, await issuer.token({ jti }))

interface Running {
  readonly server: ScriptedServer
  readonly receiver: Receiver
  readonly problems: ReceiverProblem[]
  /** Resolves at the next problem of this kind. */
  problem(kind: ReceiverProblem['kind']): Promise<ReceiverProblem>
}

async function setUp(options: Partial<ReceiverOptions> = {}): Promise<Running> {
  const server = await scriptedServer()
  server.keys = { keys: [issuer.jwk] }
  const problems: ReceiverProblem[] = []
  const waiters: { kind: string; resolve: (problem: ReceiverProblem) => void }[] = []
  const receiver = createReceiver({
    pollUrl: `${server.url}/receivers/r1/poll`,
    token: 'sst_test',
    issuers: [{ issuer: issuer.issuer }],
    audience: AUDIENCE,
    backoff: { baseMs: 1, capMs: 5 },
    onProblem: problem => {
      problems.push(problem)
      for (const waiter of waiters.splice(0)) {
        if (waiter.kind === problem.kind) waiter.resolve(problem)
        else waiters.push(waiter)
      }
    },
    ...options,
  })
  return {
    server,
    receiver,
    problems,
    problem: kind => new Promise(resolve => waiters.push({ kind, resolve })),
  }
}

/** Runs until the test ends or stops it. */
function start(receiver: Receiver, handler: SetHandler): { stop(): Promise<void>; done: Promise<void> } {
  const controller = new AbortController()
  const done = receiver.run(handler, { signal: controller.signal })
  done.catch(() => undefined)
  onTestFinished(() => controller.abort())
  return {
    done,
    stop: async () => {
      controller.abort()
      await done
    },
  }
}

const setsOf = (...jtis: string[]) => ({
  sets: Object.fromEntries(jtis.map(jti => [jti, tokens.get(jti)])),
})
const isEmptyPage = { sets: {} }

describe('polling', () => {
  it('asks as RFC 8936 §2.2 says, with its token in the header only', async () => {
    const { server, receiver } = await setUp({ waitMs: 20_000 })
    start(receiver, () => undefined)
    const poll = await server.next()
    expect(poll.method).toBe('POST')
    expect(poll.path).toBe('/receivers/r1/poll')
    expect(poll.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'Bearer sst_test',
      prefer: 'wait=20',
    })
    expect(poll.headers['content-language']).toBeUndefined()
    expect(poll.body).toEqual({ maxEvents: 100, returnImmediately: false })
  })

  it('acknowledges with the next poll, once the handler has stored the SET (P-88, P-91)', async () => {
    const { server, receiver } = await setUp()
    const stored = Promise.withResolvers<void>()
    const seen: string[] = []
    start(receiver, async set => {
      seen.push(set.jti)
      await stored.promise
    })
    ;(await server.next()).answer(200, setsOf('j-1'))
    await expect.poll(() => seen).toEqual(['j-1'])
    expect(server.waiting).toBe(0)
    stored.resolve()
    expect((await server.next()).body).toMatchObject({ ack: ['j-1'] })
  })

  it('takes any jti and any order', async () => {
    const { server, receiver } = await setUp()
    start(receiver, () => undefined)
    const body = JSON.stringify(setsOf('j-2', '10', 'j-1')).replace(
      '{"sets":{',
      `{"sets":{"__proto__":"${tokens.get('__proto__')}",`,
    )
    ;(await server.next()).answer(200, body)
    const { ack } = (await server.next()).body
    expect(ack.toSorted()).toEqual(['10', '__proto__', 'j-1', 'j-2'])
  })

  it('repeats acknowledgements after a lost answer, a 5xx and a page of HTML (P-118, P-125)', async () => {
    const { server, receiver, problems } = await setUp()
    start(receiver, () => undefined)
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2'))
    const ways: ((poll: Taken) => void)[] = [
      poll => poll.drop(),
      poll => poll.answer(500, '<html>'),
      poll => poll.answer(503, ''),
      poll => poll.answer(200, '<html>sign in</html>'),
      poll => poll.answer(200, { sets: [] }),
      poll => poll.answer(200, isEmptyPage),
    ]
    for (const way of ways) {
      const poll = await server.next()
      expect(poll.body.ack).toEqual(['j-1', 'j-2'])
      way(poll)
    }
    expect((await server.next()).body.ack).toBeUndefined()
    expect(problems.map(({ kind }) => kind)).toEqual(Array(5).fill('poll_failed'))
  })

  it('acknowledges a repeated SET again and hands it out once (P-90)', async () => {
    const { server, receiver } = await setUp()
    const seen: string[] = []
    start(receiver, set => void seen.push(set.jti))
    ;(await server.next()).answer(200, setsOf('j-1'))
    const poll = await server.next()
    expect(poll.body.ack).toEqual(['j-1'])
    poll.answer(200, setsOf('j-1'))
    expect((await server.next()).body.ack).toEqual(['j-1'])
    expect(seen).toEqual(['j-1'])
  })

  it('waits as long as the transmitter asks (Retry-After)', async () => {
    const { server, receiver, problems } = await setUp()
    start(receiver, () => undefined)
    ;(await server.next()).answer(429, '', { 'retry-after': '1' })
    const atMs = performance.now()
    await server.next()
    expect(performance.now() - atMs).toBeGreaterThan(950)
    expect(problems).toMatchObject([{ kind: 'poll_failed', retryInMs: 1_000 }])
  })

  it('does not poll while no key can be had', async () => {
    const { server, receiver, problem } = await setUp()
    server.keys = 503
    const failed = problem('poll_failed')
    start(receiver, () => undefined)
    await failed
    expect(server.waiting).toBe(0)
    server.keys = { keys: [issuer.jwk] }
    await server.next()
  })

  it('takes one poll at a time', async () => {
    const { server, receiver } = await setUp()
    start(receiver, () => undefined)
    await server.next()
    await expect(receiver.pollOnce(() => undefined)).rejects.toThrow('polling already')
  })
})

describe('a refusal', () => {
  it.each([400, 401, 403, 404, 405, 415])('of the first poll ends it: %i', async status => {
    const { server, receiver } = await setUp()
    const { done } = start(receiver, () => undefined)
    ;(await server.next()).answer(status, 'whatever')
    await expect(done).rejects.toMatchObject({ name: 'PollError', status })
  })

  it('of a later poll is tried again, with the token that counts then', async () => {
    let token = 'first'
    const { server, receiver } = await setUp({ token: () => token })
    start(receiver, () => undefined)
    ;(await server.next()).answer(200, setsOf('j-1'))
    const refused = await server.next()
    token = 'second'
    refused.answer(401, '')
    const poll = await server.next()
    expect(poll.headers.authorization).toBe('Bearer second')
    expect(poll.body.ack).toEqual(['j-1'])
  })

  it('of too many acknowledgements sends fewer, and lets go of one that is refused alone', async () => {
    const { server, receiver, problems } = await setUp()
    start(receiver, () => undefined)
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2'))
    ;(await server.next()).answer(413, '')
    const one = await server.next()
    expect(one.body).toEqual({ ack: ['j-1'], maxEvents: 0, returnImmediately: true })
    one.answer(400, '')
    const two = await server.next()
    expect(two.body.ack).toEqual(['j-2'])
    expect(problems.filter(({ kind }) => kind === 'acknowledgements_lost')).toMatchObject([{ jtis: ['j-1'] }])
  })
})

describe('a SET that does not verify', () => {
  it('is reported with a registered code, in a stated language, and not handed out (P-40, P-112, P-113)', async () => {
    const { server, receiver, problems } = await setUp()
    const seen: string[] = []
    start(receiver, set => void seen.push(set.jti))
    const wrong = await issuer.token({ jti: 'j-9', aud: 'https://else.example' })
    ;(await server.next()).answer(200, { sets: { ...setsOf('j-1').sets, 'j-9': wrong, 'j-8': 7 } })
    const poll = await server.next()
    expect(poll.headers['content-language']).toBe('en')
    expect(poll.body).toEqual({
      ack: ['j-1'],
      setErrs: {
        'j-9': { err: 'invalid_audience', description: expect.any(String) },
        'j-8': { err: 'invalid_request', description: expect.any(String) },
      },
      maxEvents: 100,
      returnImmediately: false,
    })
    expect(seen).toEqual(['j-1'])
    expect(problems.map(({ kind }) => kind)).toEqual(['set_refused', 'set_refused'])
  })

  it('for lack of keys is neither acknowledged nor reported', async () => {
    const { server, receiver, problem } = await setUp()
    start(receiver, () => undefined)
    const poll = await server.next()
    server.keys = 503
    const undecided = problem('set_undecided')
    poll.answer(200, { sets: { 'j-1': await issuer.token({}, { kid: 'newer' }) } })
    await undecided
    expect((await server.next()).body).toEqual({ maxEvents: 100, returnImmediately: false })
  })
})

describe('a handler', () => {
  it('that fails has its SET neither acknowledged nor reported, and it is handed out again (P-93)', async () => {
    const { server, receiver, problems } = await setUp()
    let calls = 0
    start(receiver, () => {
      if (++calls === 1) throw new Error('the database is away')
    })
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2'))
    const poll = await server.next()
    expect(poll.body.ack).toEqual(['j-2'])
    expect(poll.body.setErrs).toBeUndefined()
    poll.answer(200, setsOf('j-1'))
    expect((await server.next()).body.ack).toEqual(['j-1'])
    expect(problems).toMatchObject([{ kind: 'handler_failed', jti: 'j-1', reason: 'the database is away' }])
  })

  it('that is slow does not hold back what others have stored (P-89)', async () => {
    const { server, receiver } = await setUp({ ackWithinMs: 10, concurrency: 2 })
    const slow = Promise.withResolvers<void>()
    start(receiver, set => (set.jti === 'j-1' ? slow.promise : undefined))
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2'))
    const flush = await server.next()
    expect(flush.body).toEqual({ ack: ['j-2'], maxEvents: 0, returnImmediately: true })
    flush.answer(200, isEmptyPage)
    slow.resolve()
    expect((await server.next()).body.ack).toEqual(['j-1'])
  })

  it('that takes too long is let go; its SET is not handed out twice at once, and acknowledged when stored', async () => {
    const { server, receiver, problem } = await setUp({ handlerTimeoutMs: 10 })
    const late = Promise.withResolvers<void>()
    const signals: AbortSignal[] = []
    start(receiver, (_, { signal }) => {
      signals.push(signal)
      return late.promise
    })
    const failed = problem('handler_failed')
    ;(await server.next()).answer(200, setsOf('j-1'))
    await failed
    expect(signals[0]?.aborted).toBe(true)
    const poll = await server.next()
    expect(poll.body.ack).toBeUndefined()
    poll.answer(200, setsOf('j-1'))
    const held = await server.next()
    expect(signals).toHaveLength(1)
    late.resolve()
    await late.promise
    held.answer(200, isEmptyPage)
    expect((await server.next()).body.ack).toEqual(['j-1'])
  })

  it('is called for as many SETs at a time as was said', async () => {
    const { server, receiver } = await setUp({ concurrency: 2 })
    let atOnce = 0
    let most = 0
    start(receiver, async () => {
      most = Math.max(most, ++atOnce)
      await new Promise(resolve => setImmediate(resolve))
      atOnce--
    })
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2', 'j-3', '10'))
    expect((await server.next()).body.ack).toHaveLength(4)
    expect(most).toBe(2)
  })
})

describe('stopping', () => {
  it('ends the held poll, and acknowledges what is open without being held itself (P-49)', async () => {
    const { server, receiver } = await setUp()
    const { stop } = start(receiver, () => undefined)
    ;(await server.next()).answer(200, setsOf('j-1'))
    const held = await server.next()
    const stopped = stop()
    await held.gone
    const flush = await server.next()
    expect(flush.body).toEqual({ ack: ['j-1'], maxEvents: 0, returnImmediately: true })
    flush.answer(200, isEmptyPage)
    await stopped
  })

  it('sends nothing when nothing is open', async () => {
    const { server, receiver } = await setUp()
    const { stop } = start(receiver, () => undefined)
    await server.next()
    await stop()
    expect(server.waiting).toBe(0)
  })

  it('lets the handler at work finish, begins no other, and acknowledges what was stored', async () => {
    const { server, receiver } = await setUp()
    const begun = Promise.withResolvers<void>()
    const storing = Promise.withResolvers<void>()
    const seen: string[] = []
    const { stop } = start(receiver, set => {
      seen.push(set.jti)
      begun.resolve()
      return storing.promise
    })
    ;(await server.next()).answer(200, setsOf('j-1', 'j-2'))
    await begun.promise
    const stopped = stop()
    storing.resolve()
    const flush = await server.next()
    expect(flush.body.ack).toEqual(['j-1'])
    flush.answer(200, isEmptyPage)
    await stopped
    expect(seen).toEqual(['j-1'])
  })

  it('tries a few times, and says which acknowledgements were not taken', async () => {
    const { server, receiver, problems } = await setUp()
    const { stop } = start(receiver, () => undefined)
    ;(await server.next()).answer(200, setsOf('j-1'))
    await server.next()
    const stopped = stop()
    for (let i = 0; i < 3; i++) (await server.next()).answer(503, '')
    await stopped
    expect(problems).toMatchObject([{ kind: 'acknowledgements_lost', jtis: ['j-1'] }])
  })

  it('does not wait for a handler for ever', async () => {
    const { server, receiver } = await setUp({ stopGraceMs: 20 })
    const begun = Promise.withResolvers<AbortSignal>()
    const { stop } = start(receiver, (_, { signal }) => {
      begun.resolve(signal)
      return new Promise(() => {})
    })
    ;(await server.next()).answer(200, setsOf('j-1'))
    const signal = await begun.promise
    await stop()
    expect(signal.aborted).toBe(true)
  })
})

describe('one poll', () => {
  it('is answered at once, settled at once, and summed up', async () => {
    const { server, receiver } = await setUp()
    const polling = receiver.pollOnce(set => {
      if (set.jti === 'j-2') throw new Error('no')
    })
    const poll = await server.next()
    expect(poll.body).toEqual({ maxEvents: 100, returnImmediately: true })
    const { sets } = setsOf('j-1', 'j-2')
    poll.answer(200, { sets: { ...sets, x: 'no SET' }, moreAvailable: true })
    const flush = await server.next()
    expect(flush.body).toMatchObject({ ack: ['j-1'], setErrs: { x: {} }, maxEvents: 0, returnImmediately: true })
    flush.answer(200, isEmptyPage)
    expect(await polling).toEqual({ received: 3, acknowledged: 1, reported: 1, left: 1, moreAvailable: true })
  })

  it('is held if that is wanted, and fails as it fails', async () => {
    const { server, receiver } = await setUp()
    const polling = receiver.pollOnce(() => undefined, { wait: true })
    const poll = await server.next()
    expect(poll.body.returnImmediately).toBe(false)
    poll.answer(503, '')
    await expect(polling).rejects.toMatchObject({ status: 503 })
  })
})

describe('a receiver that cannot work', () => {
  const options: ReceiverOptions = {
    pollUrl: 'https://t.example/receivers/r1/poll',
    token: 't',
    issuers: [{ issuer: 'https://t.example' }],
    audience: 'me',
  }

  it.each<[string, Partial<ReceiverOptions>]>([
    ['plain HTTP', { pollUrl: 'http://t.example/receivers/r1/poll' }],
    ['must not hold a user name', { pollUrl: 'https://u:p@t.example/receivers/r1/poll' }],
    ['pollUrl does not tell', { pollUrl: 'https://t.example/elsewhere' }],
    ['issuers is empty', { issuers: [] }],
    ['audience is empty', { audience: [] }],
    ['public-key signatures', { algorithms: ['HS256'] }],
    ['public-key signatures', { algorithms: ['ES256', 'none'] }],
    ['maxEvents', { maxEvents: 0 }],
    ['jwksUrl is plain HTTP', { issuers: [{ issuer: 'x', jwksUrl: 'http://t.example/jwks' }] }],
  ])('is refused when it is made: %s', (message, wrong) => {
    expect(() => createReceiver({ ...options, ...wrong })).toThrow(message)
  })
})
