/** Settling: what an acknowledgement ends, and what it leaves alone (design, section 6: settle; guarantee 2). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'

const lab = await openLab()

describe('an acknowledged SET', () => {
  it('is gone from log, index and pending list, and no later poll returns it (guarantee 2)', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
    const answer = await feed.pollNow({ ack: [jti] })
    expect([answer.status, answer.jtis]).toEqual([200, []])
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0, owedAgain: 0, bytes: 0 })
    expect(await lab.redis.xlen(feed.keys.log)).toBe(0)
    expect(await feed.stats()).toMatchObject({ published: 1, delivered: 1, acked: 1 })
  })

  it('is settled before the SETs of the same answer are chosen', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const [first, second] = [await feed.publish(), await feed.publish()]
    expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([first])
    await feed.age(1000)
    expect((await feed.pollNow({ ack: [first] })).jtis).toEqual([second])
    await feed.check()
  })

  it('counts once, however often it is named, in one call or several', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.ack([jti, jti, 'unknown', jti])
    await feed.ack([jti])
    expect(await feed.stats()).toMatchObject({ acked: 1 })
    await feed.check()
  })

  it('is settled while owed again and while in flight for a second time (P-84)', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const [owed, again] = [await feed.publish(), await feed.publish()]
    await feed.pollNow()
    await feed.age(1000, [again])
    expect((await feed.pollNow()).jtis).toEqual([again])
    await feed.age(1000, [owed])
    await feed.pollNow({ maxEvents: 0 })
    expect(await feed.check()).toMatchObject({ owedAgain: 1, inFlight: 1 })
    await feed.ack([owed, again])
    expect(await feed.check()).toMatchObject({ owedAgain: 0, inFlight: 0 })
    expect(await feed.stats()).toMatchObject({ acked: 2 })
  })

  it('may be one of 2 000 in a request', async () => {
    const feed = await lab.feed({ settings: { pageMax: 1000 } })
    await feed.publishMany(2000)
    const jtis = [...(await feed.pollNow()).jtis, ...(await feed.pollNow()).jtis]
    expect(jtis).toHaveLength(2000)
    await feed.ack(jtis)
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0 })
    expect(await feed.stats()).toMatchObject({ acked: 2000 })
  })
})

describe('a jti that was never delivered (D-14)', () => {
  it('is not settled by a guess: the SET is still delivered, in the same answer', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    expect((await feed.pollNow({ ack: [jti] })).jtis).toEqual([jti])
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
    expect(await feed.stats()).toMatchObject({ acked: 0 })
  })

  it('is left alone beside one that was delivered', async () => {
    const feed = await lab.feed()
    const [sent, unsent] = [await feed.publish(), await feed.publish()]
    await feed.pollNow({ maxEvents: 1 })
    await feed.ack([unsent, sent])
    expect((await feed.check()).states).toEqual(new Map([[unsent, 'queued']]))
  })

  it('of another receiver changes nothing there (guarantee 4)', async () => {
    const [mine, theirs] = [await lab.feed(), await lab.feed()]
    const jti = await theirs.publish()
    await theirs.pollNow()
    await mine.ack([jti])
    await mine.report([jti])
    expect(await theirs.check()).toMatchObject({ inFlight: 1 })
    expect(await mine.check()).toMatchObject({ parked: 0 })
    expect((await mine.admin('GET', '/errors')).body.items).toEqual([])
  })
})

describe('an invalid poll', () => {
  it('applies none of its acknowledgements', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    expect((await feed.pollNow({ ack: [jti], maxEvents: 'x' })).status).toBe(400)
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
  })
})
