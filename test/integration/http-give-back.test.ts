/** An answer that did not get out: its SETs are owed again at once, and the attempt is taken back (design, section 6). */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'
import { foreignSet } from '../support/foreign-set.ts'
import { until } from '../support/until.ts'

const KIB = 1024
// More than the kernel takes on behalf of a client that does not read.
const COUNT = 7
const SIZE = 1000 * KIB
const lab = await openLab({
  SET_BYTES_MAX: '1048576',
  PAGE_BYTES_MAX: String(64 * 1024 * KIB),
  WRITE_TIMEOUT_MS: '500',
})

/** A feed whose page is larger than what is written to a socket that nobody reads. */
async function withLargePage(settings: object = {}): Promise<Feed> {
  const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000, ...settings } })
  const jtis = Array.from({ length: COUNT }, (_, i) => `large-${i}`)
  await Promise.all(
    jtis.map(async jti => {
      expect((await feed.tryAppend(await foreignSet(jti, feed.audience, SIZE))).status).toBe(202)
    }),
  )
  return feed
}

/** A client that sends a poll and reads nothing. */
async function pollWithoutReading(feed: Feed): Promise<Socket> {
  const { hostname, port } = new URL(lab.transmitter.publicUrl)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  const body = '{"returnImmediately":true}'
  socket.write(
    `POST /receivers/${feed.id}/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${feed.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  socket.pause()
  return socket
}

describe('an answer that was not written whole', () => {
  it('gives its SETs back when the client leaves, and the attempt does not count', async () => {
    const feed = await withLargePage()
    const socket = await pollWithoutReading(feed)
    await until('all are handed out', async () => (await feed.stats()).inFlight === COUNT)
    socket.destroy()
    await until('all are owed again', async () => (await feed.stats()).owedAgain === COUNT)
    expect(await feed.locate('large-0')).toMatchObject({ state: 'owedAgain', attempts: 0 })
    await feed.check()
    const page = await feed.pollNow()
    expect(page.jtis).toHaveLength(COUNT)
    expect(await feed.locate('large-0')).toMatchObject({ state: 'inFlight', attempts: 1 })
  })

  it('gives its SETs back to a poll that waits, when the client does not read for too long', async () => {
    const feed = await withLargePage()
    const socket = await pollWithoutReading(feed)
    await until('all are handed out', async () => (await feed.stats()).inFlight === COUNT)
    const [held] = await feed.hold()
    expect((await held)?.jtis.length).toBeGreaterThan(0)
    socket.destroy()
    await feed.check()
  })

  it('gives each SET back once within R, so that a client that always leaves uses its attempts up', async () => {
    const feed = await withLargePage({ maxAttempts: 1, parkAfterMs: 0 })
    const first = await pollWithoutReading(feed)
    await until('all are handed out', async () => (await feed.stats()).inFlight === COUNT)
    first.destroy()
    await until('all are owed again', async () => (await feed.stats()).owedAgain === COUNT)
    const second = await pollWithoutReading(feed)
    await until('all are handed out again', async () => (await feed.stats()).inFlight === COUNT)
    const gone = once(second, 'close')
    second.destroy()
    await gone
    await until('the transmitter noticed', async () => {
      const metrics = await lab.redis.hget(feed.keys.counts, 'givenBack')
      return metrics === String(COUNT)
    })
    expect(await feed.check()).toMatchObject({ inFlight: COUNT, owedAgain: 0 })
    expect(await feed.locate('large-0')).toMatchObject({ state: 'inFlight', attempts: 1 })
    await feed.age(60_000)
    await feed.pollNow({ maxEvents: 100 })
    await feed.pollNow({ maxEvents: 100 })
    expect(await feed.check()).toMatchObject({ parked: COUNT })
  })

  it('does not give back what was acknowledged or handed out again meanwhile', async () => {
    const feed = await withLargePage()
    const socket = await pollWithoutReading(feed)
    await until('all are handed out', async () => (await feed.stats()).inFlight === COUNT)
    await feed.ack(['large-0'])
    await feed.age(60_000, ['large-1'])
    expect((await feed.pollNow()).jtis).toEqual(['large-1'])
    socket.destroy()
    await until('the rest is owed again', async () => (await feed.stats()).owedAgain === COUNT - 2)
    const { states } = await feed.check()
    expect([states.has('large-0'), states.get('large-1')]).toEqual([false, 'inflight'])
    expect(await feed.locate('large-1')).toMatchObject({ attempts: 2 })
  })
})
