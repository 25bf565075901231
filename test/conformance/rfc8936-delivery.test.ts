/** RFC 8936 §2 to §2.5: what a receiver can rely on between its polls, and what a hostile one cannot do. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { SetupError } from '../../src/errors.ts'
import { FOREIGN_JTI_LENGTH_MAX } from '../../src/protocol/foreign-set.ts'
import { type Feed, openLab, type Place } from '../support/feed.ts'
import { foreignSet } from '../support/foreign-set.ts'
import { scrape } from '../support/metrics.ts'
import { startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const R = 60_000
const lab = await openLab({
  REDELIVER_AFTER_MS: String(R),
  SET_BYTES_MAX: String(MIB),
  PAGE_BYTES_MAX: String(64 * MIB),
})

/** A connection on which a poll is written by hand. */
async function open(place: Place = lab.transmitter): Promise<Socket> {
  const { hostname, port } = new URL(place.publicUrl)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

const headOf = (feed: Feed, ...more: string[]) =>
  [
    `POST /receivers/${feed.id}/poll HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${feed.token}`,
    'Content-Type: application/json',
    ...more,
    '',
    '',
  ].join('\r\n')

describe('polls of both kinds (RFC 8936 §2.1)', () => {
  it('share one feed without a loss: some at an interval, some held (P-60)', async () => {
    const feed = await lab.feed({ settings: { pollWaitMs: 300, pageMax: 7 } })
    const seen = new Map<string, number>()
    let published: readonly string[] | undefined
    const isOver = () => published?.every(jti => seen.has(jti)) ?? false
    const poller = async (request: object) => {
      for (let ack: readonly string[] = []; !isOver() || ack.length > 0; ) {
        const page = await feed.poll({ ...request, ack })
        for (const jti of page.jtis) seen.set(jti, (seen.get(jti) ?? 0) + 1)
        ack = page.jtis
      }
    }
    const pollers = [{ returnImmediately: true }, {}, {}, { returnImmediately: true, maxEvents: 1 }].map(poller)
    const jtis: string[] = []
    for (let burst = 0; burst < 12; burst++) jtis.push(...(await feed.publishMany(20)))
    published = jtis
    await Promise.all(pollers)
    expect([...seen.keys()].toSorted()).toEqual(jtis.toSorted())
    // Nothing lapsed meanwhile, so none came twice either.
    expect(new Set(seen.values())).toEqual(new Set([1]))
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0 })
  })
})

describe('moreAvailable (RFC 8936 §2.3)', () => {
  it('ends a loop over 1 000 SETs that nobody acknowledges, each of them handed out once (P-70)', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(1000)
    const seen: string[] = []
    for (let more = true, polls = 0; more; polls++) {
      expect(polls, 'pages of a hundred').toBeLessThan(11)
      const page = await feed.pollNow()
      seen.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(seen).toEqual(jtis)
  })
})

describe('a request (RFC 8936 §2.2)', () => {
  it('may acknowledge a page of the longest jtis, every character escaped (P-36)', async () => {
    const feed = await lab.feed({ settings: { pageMax: 100 } })
    const jtis = Array.from({ length: 100 }, (_, i) => String(i).padEnd(FOREIGN_JTI_LENGTH_MAX, '€'))
    await Promise.all(jtis.map(jti => feed.append(jti)))
    expect((await feed.pollNow()).jtis).toHaveLength(100)
    const escaped = (text: string) =>
      text.replace(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    const ack = jtis.map(jti => `"${escaped(jti)}"`).join()
    const response = await fetch(`${lab.transmitter.publicUrl}/receivers/${feed.id}/poll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${feed.token}` },
      body: `{"ack":[${ack}],"maxEvents":0,"returnImmediately":true}`,
    })
    expect(response.status).toBe(200)
    expect((await feed.check()).states.size).toBe(0)
  })

  it('without end is refused after its bound, and no more of it is taken (P-16)', async () => {
    const feed = await lab.feed()
    const socket = await open()
    socket.write(headOf(feed, 'Transfer-Encoding: chunked'))
    const answer: Buffer[] = []
    socket.on('data', chunk => answer.push(chunk))
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
    const chunk = Buffer.from(`10000\r\n${' '.repeat(65_536)}\r\n`)
    let written = 0
    const write = () => {
      // Bounded, should nobody stop us.
      while (!socket.destroyed && written < 64 * MIB) {
        written += chunk.length
        if (!socket.write(chunk)) return
      }
    }
    socket.on('drain', write)
    write()
    await closed
    // What is still on its way to a socket that is closed makes the kernel drop the answer at times.
    expect(Buffer.concat(answer).toString()).toMatch(/^(HTTP\/1\.1 413 |$)/)
    // The bound is 1 MiB; the rest is what the two kernels hold on to.
    expect(written).toBeLessThan(16 * MIB)
    expect((await feed.pollNow()).status).toBe(200)
  })

  it('is answered uncompressed whatever codings it would take (P-76)', async () => {
    const feed = await lab.feed()
    await feed.publishMany(20)
    const { headers, jtis } = await feed.pollNow({}, { headers: { 'accept-encoding': 'gzip, br, zstd, deflate' } })
    expect(jtis).toHaveLength(20)
    expect(headers.has('content-encoding')).toBe(false)
  })
})

describe('the wait (RFC 8936 §2.5, RFC 6202 §5.5)', () => {
  it('is 30 s by default and 120 s at the most, for a process and for a receiver (P-48)', async () => {
    expect(readConfig({}).POLL_WAIT_MS).toBe(30_000)
    expect(() => readConfig({ POLL_WAIT_MS: '120001' })).toThrow(SetupError)
    const feed = await lab.feed()
    expect((await feed.admin('PATCH', '', { settings: { pollWaitMs: 120_001 } })).status).toBe(400)
  })

  it('costs no connection to Redis, however many polls wait (P-187)', async () => {
    const server = await startPrivateRedis()
    const { feed: openFeed, redis } = await openLab({ REDIS_URL: server.url })
    const connections = async () =>
      String(await redis.call('CLIENT', 'LIST'))
        .trim()
        .split('\n').length
    const feeds = await Promise.all(Array.from({ length: 20 }, () => openFeed()))
    const [first] = feeds as [Feed]
    await first.hold()
    const before = await connections()
    const controller = new AbortController()
    const polls = feeds.flatMap(feed => Array.from({ length: 15 }, () => feed.poll({}, { signal: controller.signal })))
    for (const poll of polls) poll.catch(() => undefined)
    await until('all are held', async () => {
      const counts = await Promise.all(feeds.map(feed => feed.stats()))
      return counts.reduce((sum, { heldPolls }) => sum + heldPolls, 0) === 301
    })
    expect(await connections()).toBe(before)
    controller.abort()
  })
})

describe('an acknowledgement (RFC 8936 §2.1)', () => {
  it('that was answered is kept by a Redis killed right after, with CONFIRM=fsynced (P-78)', async () => {
    const server = await startPrivateRedis({ args: ['--appendfsync', 'always'] })
    const durable = await openLab({ REDIS_URL: server.url, CONFIRM: 'fsynced', REDELIVER_AFTER_MS: String(R) })
    const feed = await durable.feed()
    const [acked, reported, left] = (await feed.publishMany(3)) as [string, string, string]
    await feed.pollNow()
    const answer = await feed.pollNow({ ack: [acked], setErrs: { [reported]: { err: 'invalid_key' } } })
    await server.kill()
    expect(answer.status).toBe(200)
    await server.start()
    await until('Redis is back', async () => (await feed.pollNow()).status === 200)
    await feed.age(R, [left])
    expect((await feed.pollNow()).jtis).toEqual([left])
    expect((await feed.check()).states).toEqual(
      new Map([
        [reported, 'parked'],
        [left, 'inflight'],
      ]),
    )
  })
})

describe('redelivery (RFC 8936 §2.4)', () => {
  it('comes once per R at the most, however often is polled (P-96)', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(5)
    for (let round = 0; round < 3; round++) {
      const seen: string[] = []
      for (let polls = 0; polls < 20; polls++) seen.push(...(await feed.pollNow()).jtis)
      expect(seen).toEqual(jtis)
      await feed.age(R)
    }
  })

  it('comes with the very next poll where R is 0 (D-15)', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 0 } })
    const jtis = await feed.publishMany(3)
    const first = await feed.pollNow()
    for (let again = 0; again < 3; again++) expect((await feed.pollNow()).sets).toEqual(first.sets)
    await feed.ack(jtis.slice(0, 1))
    expect((await feed.poll()).jtis).toEqual(jtis.slice(1))
    await feed.ack(jtis)
    expect((await feed.check()).states.size).toBe(0)
  })

  it('ends with the last attempt: the SET is a dead letter, listed and counted (P-97)', async () => {
    const feed = await lab.feed({ settings: { maxAttempts: 3, parkAfterMs: 0 } })
    const parked = async () =>
      (await scrape(lab.transmitter)).value('setstream_sets_parked_total', { reason: 'attempts' }) ?? 0
    const before = await parked()
    const jti = await feed.publish()
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.age(R)
    }
    expect((await feed.pollNow()).jtis).toEqual([])
    expect((await feed.admin('GET', '/parked')).body.items).toMatchObject([{ jti, reason: 'attempts', attempts: 3 }])
    expect((await parked()) - before).toBe(1)
  })

  it('follows a process that is killed while it writes the answer (P-103)', async () => {
    const doomed = await lab.spawn(['public'])
    const feed = await lab.feed()
    // More than the kernel takes on behalf of a client that does not read.
    const jtis = Array.from({ length: 7 }, (_, i) => `large-${i}`)
    const tokens = await Promise.all(jtis.map(jti => foreignSet(jti, feed.audience, 1000 * 1024)))
    for (const token of tokens) expect((await feed.tryAppend(token)).status).toBe(202)
    const socket = await open(doomed)
    socket.pause()
    const body = '{"returnImmediately":true}'
    socket.write(headOf(feed, `Content-Length: ${body.length}`) + body)
    await until('all are handed out', async () => (await feed.stats()).inFlight === jtis.length)
    await doomed.kill()
    expect((await feed.pollNow()).jtis).toEqual([])
    await feed.age(R)
    expect([...(await feed.pollNow()).sets]).toEqual(jtis.map((jti, i) => [jti, tokens[i]]))
  })
})
