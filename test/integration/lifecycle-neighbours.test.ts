/** Full, slow, paused and hostile receivers do not slow the others (guarantee 7). */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'

const ROUNDS = 60
const lab = await openLab({ RATE_LIMIT_POLL: '20', WRITE_TIMEOUT_MS: '20000' })

/** From a publish's answer to the held poll's, at one receiver, some rounds of it; the slowest but one. */
async function latencyOf(feed: Feed): Promise<number> {
  const tookMs: number[] = []
  let ack: readonly string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const polling = feed.poll({ ack })
    await feed.publish()
    const publishedAt = performance.now()
    ack = (await polling).jtis
    expect(ack).toHaveLength(1)
    tookMs.push(performance.now() - publishedAt)
  }
  await feed.ack(ack)
  return tookMs.toSorted((a, b) => a - b)[ROUNDS - 2] as number
}

describe('a receiver', () => {
  it('is answered as ever beside one that is full, one that is paused, one that does not read and one that hammers', async () => {
    const feed = await lab.feed()
    await latencyOf(feed)
    const alone = await latencyOf(feed)

    const full = await lab.feed({ settings: { backlogMax: 1 } })
    await full.publish()
    const paused = await lab.feed({ status: 'paused' })
    await paused.publishMany(1000)
    await paused.hold()
    const slow = await lab.feed({ settings: { pageMax: 1000 } })
    await slow.publishMany(1000)
    const { hostname, port } = new URL(lab.transmitter.publicUrl)
    const socket = connect(Number(port), hostname)
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    socket.write(
      `POST /receivers/${slow.id}/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${slow.token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    )
    socket.pause()

    const hostile = await lab.feed()
    let isOver = false
    const statuses = new Set<number>()
    const hammering = Array.from({ length: 3 }, async () => {
      while (!isOver) {
        statuses.add((await hostile.pollNow()).status)
        statuses.add((await full.tryPublish({ id: 'again' })).status)
      }
    })
    const beside = await latencyOf(feed).finally(() => {
      isOver = true
    })
    await Promise.all(hammering)
    expect(statuses).toEqual(new Set([200, 429]))
    // Client, server and the hammering share this process, so that what is left is what they cost the machine.
    expect(beside, `alone it was ${alone.toFixed(1)} ms`).toBeLessThan(Math.max(alone * 4, 100))
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0 })
  })

  it('over its budget of polls that find nothing has nothing applied, and the budget is its own', async () => {
    const [feed, other] = [await lab.feed(), await lab.feed()]
    const jti = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([jti])
    for (let polls = 0; polls < 20; polls++) expect((await feed.pollNow()).status).toBe(200)
    const refused = await feed.pollNow({ ack: [jti] })
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true])
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
    expect((await other.pollNow()).status).toBe(200)
  })

  it('that fetches and acknowledges, or waits, never meets that budget', async () => {
    const feed = await lab.feed({ settings: { pollWaitMs: 1 } })
    let ack: readonly string[] = []
    for (let polls = 0; polls < 30; polls++) {
      await feed.publish()
      const page = await feed.pollNow({ ack })
      expect(page.status).toBe(200)
      ack = page.jtis
    }
    await feed.ack(ack)
    for (let polls = 0; polls < 25; polls++) expect((await feed.poll()).status).toBe(200)
  })
})
