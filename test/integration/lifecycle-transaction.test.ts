/**
 * Polls of a busy receiver, whose page is read behind the script in one transaction (see src/store/poll-transaction.ts): what
 * they hand out and what becomes of it is what the script alone would have done.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type Feed, openLab, type PollAnswer } from '../support/feed.ts'
import { isCluster } from '../support/redis.ts'
import { until } from '../support/until.ts'

const KIB = 1024
const PAGE = 20
const lab = await openLab({ SET_BYTES_MAX: String(512 * KIB), PAGE_BYTES_MAX: String(64 * 1024 * KIB) })

/** A receiver whose next poll for a page is a transaction: its last page was full, and more waits. */
async function busy(settings: object = {}): Promise<{ feed: Feed; jtis: string[]; first: PollAnswer }> {
  const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000, ...settings } })
  await feed.pollNow() // Makes the group.
  const jtis = await feed.publishMany(3 * PAGE)
  const first = await feed.pollNow({ maxEvents: PAGE })
  expect([first.jtis, first.moreAvailable]).toEqual([jtis.slice(0, PAGE), true])
  return { feed, jtis, first }
}

/** How often XREADGROUP came behind its script, by Redis's own count of transactions. */
async function transactions(): Promise<number> {
  const stats = await lab.redis.info('commandstats')
  return Number(/cmdstat_exec:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

describe('a busy receiver', () => {
  it('is sent each SET once, in order, byte for byte and whatever its jti is', async ({ skip }) => {
    skip(isCluster(), 'a client of a cluster sends the script alone')
    const feed = await lab.feed()
    await feed.pollNow()
    const odd = ['"', '\\', 'a\nb', '\u2028', '🔐', 'ü', '__proto__', 'x'.repeat(200)]
    const names = Array.from({ length: 5 * PAGE }, (_, i) => `${odd[i % odd.length]}-${i}`)
    const tokens = new Map<string, string>()
    for (const name of names) tokens.set(name, await feed.append(name))
    const before = await transactions()
    const seen: [string, string][] = []
    let ack: readonly string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow({ maxEvents: PAGE, ack })
      expect(page.status).toBe(200)
      seen.push(...page.sets)
      ack = page.jtis
      more = page.moreAvailable
    }
    expect(seen).toEqual([...tokens])
    expect(await transactions()).toBeGreaterThanOrEqual(before + 4)
    await feed.ack(ack)
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, bytes: 0 })
    expect(await feed.stats()).toMatchObject({ delivered: names.length, acked: names.length, redelivered: 0 })
  })

  it('is sent its own SETs and no other’s, however many are polled for at a time', async ({ skip }) => {
    skip(isCluster(), 'a client of a cluster sends the script alone')
    const feeds = await Promise.all(Array.from({ length: 8 }, () => lab.feed()))
    const before = await transactions()
    await Promise.all(
      feeds.map(async feed => {
        await feed.pollNow()
        const tokens = new Map<string, string>()
        for (let i = 0; i < 6 * PAGE; i++) tokens.set(`${feed.id}-${i}`, await feed.append(`${feed.id}-${i}`))
        const seen: [string, string][] = []
        let ack: readonly string[] = []
        for (let more = true; more; ) {
          const page = await feed.pollNow({ maxEvents: PAGE, ack })
          seen.push(...page.sets)
          ack = page.jtis
          more = page.moreAvailable
        }
        expect(seen).toEqual([...tokens])
      }),
    )
    expect(await transactions()).toBeGreaterThanOrEqual(before + 4 * feeds.length)
  })

  it('is handed nothing once it is paused, and its queue is as it was', async () => {
    const { feed, jtis, first } = await busy()
    await feed.patch({ status: 'paused' })
    expect((await feed.pollNow({ maxEvents: PAGE, ack: first.jtis })).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ queued: 2 * PAGE, inFlight: 0, owedAgain: 0 })
    await feed.patch({ status: 'enabled' })
    const next = await feed.pollNow({ maxEvents: 100 })
    expect(next.jtis).toEqual(jtis.slice(PAGE))
    expect(await feed.locate(jtis[PAGE] as string)).toMatchObject({ state: 'inFlight', attempts: 1 })
  })

  it('is handed what is owed again as soon as it has lapsed', async () => {
    const { feed, jtis, first } = await busy()
    await feed.age(60_000, first.jtis.slice(0, 4))
    const next = await feed.pollNow({ maxEvents: PAGE })
    expect(next.jtis.slice(0, 4)).toEqual(first.jtis.slice(0, 4))
    expect(next.jtis.slice(4)).toEqual(jtis.slice(PAGE, 2 * PAGE - 4))
    await feed.check()
  })

  it('loses nothing when Redis forgets the script', async () => {
    const { feed, jtis, first } = await busy()
    await lab.redis.script('FLUSH')
    const next = await feed.pollNow({ maxEvents: PAGE, ack: first.jtis })
    expect([next.status, next.jtis]).toEqual([200, jtis.slice(PAGE, 2 * PAGE)])
    expect(await feed.check()).toMatchObject({ queued: PAGE, inFlight: PAGE })
  })

  it('goes on when its group was lost', async () => {
    const { feed, jtis, first } = await busy()
    await lab.redis.xgroup('DESTROY', feed.keys.log, 'poll')
    const next = await feed.pollNow({ maxEvents: PAGE, ack: first.jtis })
    expect([next.status, next.jtis]).toEqual([200, jtis.slice(0, PAGE)])
  })

  it('that is deleted is not found', async () => {
    const { feed } = await busy()
    await feed.admin('DELETE', '?force=true')
    expect((await feed.pollNow({ maxEvents: PAGE })).status).toBeOneOf([401, 404])
  })

  it('is told so when the log is of another type, and nothing is settled', async () => {
    const { feed, first } = await busy()
    await lab.redis.rename(feed.keys.log, `${feed.keys.log}-away`)
    await lab.redis.set(feed.keys.log, 'not a stream')
    expect((await feed.pollNow({ maxEvents: PAGE, ack: first.jtis })).status).toBe(500)
    await lab.redis.rename(`${feed.keys.log}-away`, feed.keys.log)
    expect(await feed.check()).toMatchObject({ queued: 2 * PAGE, inFlight: PAGE })
  })

  it('keeps what an answer that did not get out held: it is owed again at once, and the attempt does not count', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })
    await feed.pollNow()
    const jtis = Array.from({ length: 2 * PAGE }, (_, i) => `large-${i}`)
    for (const jti of jtis) await feed.append(jti, 400 * KIB)
    await feed.pollNow({ maxEvents: PAGE })
    const { hostname, port } = new URL(lab.transmitter.publicUrl)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    const body = `{"returnImmediately":true,"maxEvents":${PAGE - 1}}`
    socket.write(
      `POST /receivers/${feed.id}/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${feed.token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    socket.pause()
    await until('the second page is handed out', async () => (await feed.stats()).inFlight === 2 * PAGE - 1)
    socket.destroy()
    await until('it is owed again', async () => (await feed.stats()).owedAgain === PAGE - 1)
    expect(await feed.locate(jtis[PAGE] as string)).toMatchObject({ state: 'owedAgain', attempts: 0 })
    await feed.check()
  })
})
