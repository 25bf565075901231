/** Dead letters: how SETs come among them, and the ways out (design, section 6: park, requeue; D-20, D-23). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'

const R = 60_000
const lab = await openLab()
const once = { redeliverAfterMs: R, maxAttempts: 1, parkAfterMs: 0 }

/** A feed with so many SETs parked for their attempts, beside one that is still queued. */
async function withParked(count: number, settings: object = {}) {
  const feed = await lab.feed({ settings: { ...once, pageMax: 1000, ...settings } })
  const parked = await feed.publishMany(count)
  for (let from = 0; from < count; from += 1000) await feed.pollNow()
  await feed.age(R)
  for (let more = true; more; ) {
    await feed.pollNow({ maxEvents: 1000 })
    more = (await feed.stats()).inFlight > 0
  }
  return { feed, parked }
}

describe('a SET out of attempts', () => {
  it('is parked with reason `attempts`, and not handed out again (D-20)', async () => {
    const { feed, parked } = await withParked(1)
    expect(await feed.check()).toMatchObject({ parked: 1, inFlight: 0, owedAgain: 0 })
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.locate(parked[0] as string)).toMatchObject({ state: 'parked', reason: 'attempts', attempts: 1 })
  })

  it('is owed again as long as it is younger than parkAfterMs, however many attempts', async () => {
    const feed = await lab.feed({ settings: { ...once, parkAfterMs: 3_600_000 } })
    const jti = await feed.publish()
    for (let attempt = 0; attempt < 4; attempt++) {
      expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.age(R)
    }
    expect(await feed.check()).toMatchObject({ parked: 0 })
  })

  it('is never parked for attempts when there is no limit', async () => {
    const feed = await lab.feed({ settings: { ...once, maxAttempts: 0 } })
    const jti = await feed.publish()
    for (let attempt = 0; attempt < 4; attempt++) {
      expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.age(R)
    }
  })

  it('counts as acknowledged when the acknowledgement comes late (D-23)', async () => {
    const { feed, parked } = await withParked(2)
    await feed.ack(parked.slice(0, 1))
    expect((await feed.check()).states).toEqual(new Map([[parked[1], 'parked']]))
    expect(await feed.stats()).toMatchObject({ acked: 1 })
    expect((await feed.admin('GET', '/parked')).body.items).toHaveLength(1)
  })

  it('can still be reported', async () => {
    const { feed, parked } = await withParked(1)
    await feed.report(parked)
    expect(await feed.locate(parked[0] as string)).toMatchObject({ state: 'parked', reason: 'reported', attempts: 1 })
    await feed.check()
  })
})

describe('requeue', () => {
  it('makes parked SETs owed again under the same jti, with a fresh count of attempts', async () => {
    const { feed, parked } = await withParked(3)
    const { status, body } = await feed.admin('POST', '/parked/requeue', { jtis: [parked[1], 'unknown'] })
    expect([status, body]).toEqual([200, { moved: 1, remaining: 2 }])
    expect((await feed.check()).states.get(parked[1] as string)).toBe('due')
    expect(await feed.locate(parked[1] as string)).toMatchObject({ state: 'owedAgain', attempts: 0 })
    expect((await feed.pollNow()).jtis).toEqual([parked[1]])
    expect(await feed.locate(parked[1] as string)).toMatchObject({ state: 'inFlight', attempts: 1 })
    await feed.ack([parked[1] as string])
    expect(await feed.check()).toMatchObject({ parked: 2 })
  })

  it('of all goes in steps, and wakes the poll that waits', async () => {
    const { feed, parked } = await withParked(250)
    const [held] = await feed.hold()
    const { body } = await feed.admin('POST', '/parked/requeue', { all: true })
    expect(body).toEqual({ moved: 250, remaining: 0 })
    const first = (await held)?.jtis ?? []
    expect(first.length).toBeGreaterThan(0)
    const rest: string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      rest.push(...page.jtis)
      more = page.moreAvailable
    }
    expect([...first, ...rest]).toEqual(parked)
    expect(await feed.check()).toMatchObject({ inFlight: 250, parked: 0 })
  })

  it('of what was reported delivers it again, and then it can be acknowledged', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    const first = await feed.pollNow()
    await feed.report([jti])
    await feed.admin('POST', '/parked/requeue', { all: true })
    expect((await feed.pollNow()).sets).toEqual(first.sets)
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ parked: 0, inFlight: 0 })
  })

  it('leaves alone what is not parked', async () => {
    const feed = await lab.feed()
    const [sent, queued] = await feed.publishMany(2)
    await feed.pollNow({ maxEvents: 1 })
    const { body } = await feed.admin('POST', '/parked/requeue', { jtis: [sent, queued] })
    expect(body.moved).toBe(0)
    expect(await feed.check()).toMatchObject({ inFlight: 1, queued: 1 })
  })
})

describe('discard', () => {
  it('drops what was chosen for good, and it is counted', async () => {
    const { feed, parked } = await withParked(3)
    const { status, body } = await feed.admin('DELETE', '/parked', { jtis: [parked[0]] })
    expect([status, body]).toEqual([200, { moved: 1, remaining: 2 }])
    expect((await feed.check()).states.has(parked[0] as string)).toBe(false)
    expect(await lab.redis.hget(feed.keys.counts, 'discarded:operator')).toBe('1')
  })

  it('of all goes in steps and leaves what is not parked', async () => {
    const { feed } = await withParked(230)
    const jti = await feed.publish()
    expect((await feed.admin('DELETE', '/parked', { all: true })).body).toEqual({ moved: 230, remaining: 0 })
    expect((await feed.check()).states).toEqual(new Map([[jti, 'queued']]))
  })

  it('is not taken for an acknowledgement when the SET is looked for', async () => {
    const { feed, parked } = await withParked(1)
    await feed.admin('DELETE', '/parked', { all: true })
    expect((await feed.locate(parked[0] as string)).state).not.toBe('acknowledged')
  })
})

describe('the list of dead letters', () => {
  it('comes in pages, oldest first, and by reason', async () => {
    const { feed, parked } = await withParked(5)
    const [reported] = await feed.publishMany(1)
    await feed.pollNow()
    await feed.report([reported as string])
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const { body } = await feed.admin('GET', `/parked?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`)
      seen.push(...body.items.map(({ jti }: { jti: string }) => jti))
      cursor = body.next
    } while (cursor !== undefined)
    expect(seen).toEqual([...parked, reported])
    const { body } = await feed.admin('GET', '/parked?reason=reported')
    expect(body.items.map(({ jti }: { jti: string }) => jti)).toEqual([reported])
  })
})
