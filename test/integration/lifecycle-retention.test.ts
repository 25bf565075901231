/** Time: what expires, what is kept for replay, and for how long (design, section 6: expire, replay, retention). */
import { describe, expect, it } from 'vitest'
import { keysFor } from '../../src/store/keys.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { SetStore } from '../../src/store/set-store.ts'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const HOUR = 3_600_000

describe('an expired SET', () => {
  it('is parked by the poll that finds it, whatever state it was in, and none is handed out', async () => {
    const feed = await lab.feed({ settings: { expireAfterMs: HOUR } })
    const [owed, inFlight, queued] = [await feed.publish(), await feed.publish(), await feed.publish()]
    await feed.pollNow({ maxEvents: 1 })
    await feed.age(HOUR, [owed])
    await feed.pollNow({ maxEvents: 0 })
    // The new one comes first, since half of a page is owed at the most.
    expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([owed])
    expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([inFlight])
    await feed.age(HOUR, [owed])
    await feed.pollNow({ maxEvents: 0 })
    expect(await feed.check()).toMatchObject({ owedAgain: 1, inFlight: 1, queued: 1 })

    await feed.patch({ settings: { expireAfterMs: 1 } })
    await until('it is another millisecond', async () => (await feed.stats()).oldestUnackedSeconds > 0.002)
    expect((await feed.pollNow()).jtis).toEqual([])
    expect((await feed.check()).states).toEqual(
      new Map([
        [owed, 'parked'],
        [inFlight, 'parked'],
        [queued, 'parked'],
      ]),
    )
    const { items } = (await feed.admin('GET', '/parked?reason=expired')).body
    const attempts = items.map(({ jti, attempts }: { jti: string; attempts: number }) => [jti, attempts])
    expect(attempts).toEqual([
      [owed, 2],
      [inFlight, 1],
      [queued, 0],
    ])
  })

  it('can be acknowledged late if it was ever handed out, and not by a guess', async () => {
    const feed = await lab.feed({ settings: { expireAfterMs: HOUR } })
    const [sent, unsent] = [await feed.publish(), await feed.publish()]
    await feed.pollNow({ maxEvents: 1 })
    await feed.patch({ settings: { expireAfterMs: 1 } })
    await until('both are parked', async () => (await feed.pollNow()) && (await feed.stats()).parked === 2)
    await feed.ack([sent, unsent])
    expect((await feed.check()).states).toEqual(new Map([[unsent, 'parked']]))
  })

  it('is parked by a worker when nobody polls', async () => {
    const { feed: open, another } = await openLab({ EXPIRE_AFTER_MS: '1500' })
    const feed = await open()
    await feed.publishMany(250)
    await feed.pollNow({ maxEvents: 20 })
    await another({}, ['workers'])
    await until('all are parked', async () => (await feed.stats()).parked === 250, 10_000)
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, parked: 250 })
  })
})

describe('acknowledged SETs', () => {
  const settings = { retainAckedMs: HOUR }

  it('are kept for replay, and are no longer owed, listed as held, or delivered', async () => {
    const feed = await lab.feed({ settings })
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ retained: 1, inFlight: 0, bytes: 0 })
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.locate(jti)).toMatchObject({ state: 'acknowledged', claims: { jti } })
  })

  it('are delivered again by replay, byte for byte, and pending ones are left as they are', async () => {
    const feed = await lab.feed({ settings })
    const [first, second, third] = [await feed.publish(), await feed.publish(), await feed.publish()]
    const before = await feed.pollNow({ maxEvents: 2 })
    await feed.ack([first])
    await feed.pollNow()
    const { status, body } = await feed.admin('POST', '/replay', { from: 0 })
    expect([status, body]).toMatchObject([200, { moved: 1, remaining: 0 }])
    expect((await feed.check()).states).toEqual(
      new Map([
        [first, 'due'],
        [second, 'inflight'],
        [third, 'inflight'],
      ]),
    )
    const again = await feed.pollNow()
    expect(again.sets).toEqual(new Map([[first, before.sets.get(first)]]))
    await feed.ack([first])
    expect(await feed.check()).toMatchObject({ retained: 1, inFlight: 2 })
  })

  it('are replayed by the time of their acknowledgement, and the answer says since when there are some', async () => {
    const feed = await lab.feed({ settings })
    const jtis = await feed.publishMany(3)
    await feed.pollNow()
    for (const jti of jtis) await feed.ack([jti])
    const acked = (await lab.redis.xrange(feed.keys.acked, '-', '+')) as [string, string[]][]
    // Acknowledgements may fall within one ms: what a range takes is what has such a time.
    const atMs = acked.map(([id]) => Number.parseInt(id, 10))
    const from = atMs[1] as number
    const inRange = jtis.filter((_, i) => atMs[i] === from)
    const { body } = await feed.admin('POST', '/replay', { from, to: from })
    expect(body).toMatchObject({ moved: inRange.length, remaining: 0 })
    if (inRange.length < 3) expect(Date.parse(body.retainedFrom)).toBe(atMs.find(ms => ms !== from))
    expect((await feed.pollNow()).jtis).toEqual(inRange)
    await feed.check()
  })

  it('are replayed in steps, many at once, and the poll that waits is woken', async () => {
    const feed = await lab.feed({ settings: { ...settings, pageMax: 1000 } })
    const jtis = await feed.publishMany(450)
    await feed.pollNow()
    await feed.ack(jtis)
    const [held] = await feed.hold()
    expect((await feed.admin('POST', '/replay', { from: 0 })).body).toMatchObject({ moved: 450, remaining: 0 })
    const seen = [...((await held)?.jtis ?? [])]
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      seen.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(seen.toSorted()).toEqual(jtis.toSorted())
    expect(await feed.check()).toMatchObject({ retained: 0, inFlight: 450 })
  })

  it('are not replayed where none are kept', async () => {
    const feed = await lab.feed()
    expect((await feed.admin('POST', '/replay', { from: 0 })).status).toBe(409)
  })

  it('go with their entries once their time is over', async () => {
    const { feed: open, another, redis } = await openLab({ RETAIN_ACKED_MS: '1500' })
    const feed = await open()
    const jtis = await feed.publishMany(20)
    await feed.pollNow()
    await feed.ack(jtis.slice(0, 15))
    expect(await feed.check()).toMatchObject({ retained: 15, inFlight: 5 })
    await another({}, ['workers'])
    await until('they are trimmed', async () => (await feed.stats()).retained === 0, 10_000)
    expect(await redis.xlen(feed.keys.log)).toBe(5)
    expect(await feed.check()).toMatchObject({ retained: 0, inFlight: 5 })
  })

  it('that a producer repeats after the dedupe window, and replays then, leave nothing behind', async () => {
    const feed = await lab.feed({ settings })
    const token = await feed.append('repeated')
    await feed.pollNow()
    await feed.ack(['repeated'])
    // As after the window: the jti is forgotten, the first SET is still retained.
    await lab.redis.del(feed.keys.done0, feed.keys.done1)
    expect((await feed.tryAppend(token)).body.status).toBe('queued')
    await feed.admin('POST', '/replay', { from: 0 })
    expect(await feed.check()).toMatchObject({ queued: 1, retained: 0 })
  })
})

describe('reports', () => {
  it('go once their time is over: these, each of them, and no younger one', async () => {
    const feed = await lab.feed()
    for (let i = 0; i < 250; i++) {
      await lab.redis.xadd(feed.keys.errors, `${1_000_000 + i}-0`, 'jti', `old-${i}`, 'err', 'invalid_key')
    }
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.report([jti])
    const sets = new SetStore(scriptsOn(lab.redis), keysFor(lab.prefix))
    const trimmed: number[] = []
    for (let more = true; more; ) {
      const step = await sets.trim(feed.id, HOUR, HOUR, 100)
      trimmed.push(step.reports)
      more = step.more
    }
    expect(trimmed).toEqual([100, 100, 50])
    const { items } = (await feed.admin('GET', '/errors')).body
    expect(items.map((report: { jti: string }) => report.jti)).toEqual([jti])
  })
})

describe('a SET where it is', () => {
  it('is told in every state', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })
    const jti = await feed.publish()
    expect(await feed.locate(jti)).toMatchObject({ jti, state: 'queued', attempts: 0, claims: { jti } })
    await feed.pollNow()
    await feed.age(30_000)
    const inFlight = await feed.locate(jti)
    expect(inFlight).toMatchObject({ state: 'inFlight', attempts: 1 })
    expect(inFlight.inStateSeconds).toBeGreaterThanOrEqual(30)
    await feed.age(60_000)
    await feed.pollNow({ maxEvents: 0 })
    expect(await feed.locate(jti)).toMatchObject({ state: 'owedAgain', attempts: 1 })
    await feed.ack([jti])
    expect(await feed.locate(jti)).toEqual({ jti, state: 'acknowledged' })
    expect(await feed.locate('never-seen')).toMatchObject({ status: 404, state: 'unknown' })
  })
})
