/** What a page holds: order, count, bytes, and room for both what is new and what is owed again (guarantee 6). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'

const KIB = 1024
const lab = await openLab({ PAGE_BYTES_MAX: String(20 * KIB) })
const R = { redeliverAfterMs: 1000 }

describe('a page', () => {
  it('hands out the oldest first, and says while there is more (D-13, D-28)', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(5)
    const first = await feed.pollNow({ maxEvents: 2 })
    expect([first.jtis, first.moreAvailable]).toEqual([jtis.slice(0, 2), true])
    const second = await feed.pollNow({ maxEvents: 3 })
    expect([second.jtis, second.moreAvailable]).toEqual([jtis.slice(2), false])
    expect(JSON.parse(second.text)).not.toHaveProperty('moreAvailable')
    expect(await feed.check()).toMatchObject({ inFlight: 5 })
  })

  it('holds pageMax SETs at the most, whatever is asked for, and the receiver’s own setting counts', async () => {
    const feed = await lab.feed({ settings: { pageMax: 3 } })
    await feed.publishMany(7)
    expect((await feed.pollNow({ maxEvents: 1000 })).jtis).toHaveLength(3)
    expect((await feed.pollNow()).jtis).toHaveLength(3)
    expect((await feed.pollNow()).jtis).toHaveLength(1)
  })

  it('of none says whether there is something, and hands nothing out', async () => {
    const feed = await lab.feed()
    await feed.publish()
    const answer = await feed.pollNow({ maxEvents: 0 })
    expect([answer.jtis, answer.moreAvailable]).toEqual([[], true])
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })
})

describe('the bytes of a page', () => {
  const bytesOf = (sets: ReadonlyMap<string, string>) => [...sets.values()].reduce((sum, set) => sum + set.length, 0)

  it('are bounded, and every SET comes once and in order', async () => {
    const feed = await lab.feed()
    const names = Array.from({ length: 12 }, (_, i) => `large-${i}`)
    for (const name of names) await feed.append(name, 6 * KIB)
    const seen: string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      expect(bytesOf(page.sets)).toBeLessThanOrEqual(20 * KIB)
      seen.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(seen).toEqual(names)
    expect(await feed.check()).toMatchObject({ inFlight: 12 })
  })

  it('may be exceeded by one SET alone, so that a large one does not block the feed (D-26)', async () => {
    const feed = await lab.feed()
    await feed.append('huge', 30 * KIB)
    await feed.append('small')
    expect((await feed.pollNow()).jtis).toEqual(['huge'])
    expect((await feed.pollNow()).jtis).toEqual(['small'])
  })

  it('are bounded for SETs owed again as well', async () => {
    const feed = await lab.feed({ settings: R })
    for (const name of ['a', 'b', 'c', 'd', 'e']) await feed.append(name, 6 * KIB)
    await feed.pollNow()
    await feed.pollNow()
    await feed.age(1000)
    const page = await feed.pollNow()
    expect(page.jtis).toEqual(['a', 'b', 'c'])
    expect(page.moreAvailable).toBe(true)
    expect((await feed.pollNow()).jtis).toEqual(['d', 'e'])
  })

  it('leave room for what is owed again while new SETs could fill them', async () => {
    const feed = await lab.feed({ settings: R })
    for (const name of ['old-1', 'old-2']) await feed.append(name, 6 * KIB)
    await feed.pollNow()
    await feed.age(1000)
    for (let i = 0; i < 20; i++) await feed.append(`new-${i}`, 6 * KIB)
    const owed = new Set(['old-1', 'old-2'])
    for (let polls = 0; polls < 3; polls++) for (const jti of (await feed.pollNow()).jtis) owed.delete(jti)
    expect([...owed], 'owed again and not handed out in three pages').toEqual([])
    await feed.check()
  })

  it('hold when small SETs follow large ones', async () => {
    const feed = await lab.feed()
    await feed.append('large', 15 * KIB)
    const small = await feed.publishMany(40)
    const seen: string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      expect(bytesOf(page.sets)).toBeLessThanOrEqual(20 * KIB)
      seen.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(seen).toEqual(['large', ...small])
  })
})

describe('SETs owed again (guarantee 6)', () => {
  async function withOwed(count: number, settings: object = {}) {
    const feed = await lab.feed({ settings: { ...R, ...settings } })
    const owed = await feed.publishMany(count)
    await feed.pollNow()
    await feed.age(1000)
    return { feed, owed }
  }

  it('take at most half of a page while unseen SETs wait', async () => {
    const { feed, owed } = await withOwed(10)
    const fresh = await feed.publishMany(10)
    const page = await feed.pollNow({ maxEvents: 5 })
    expect(page.jtis.filter(jti => owed.includes(jti))).toEqual(owed.slice(0, 2))
    expect(page.jtis.filter(jti => fresh.includes(jti))).toEqual(fresh.slice(0, 3))
    await feed.check()
  })

  it('fill the page when there is nothing new, and new ones fill what those leave', async () => {
    const { feed, owed } = await withOwed(4)
    const [fresh] = await feed.publishMany(1)
    expect(new Set((await feed.pollNow({ maxEvents: 4 })).jtis)).toEqual(new Set([fresh, ...owed.slice(0, 3)]))
    expect((await feed.pollNow({ maxEvents: 4 })).jtis).toEqual(owed.slice(3))
    const more = await withOwed(1)
    const many = await more.feed.publishMany(5)
    expect(new Set((await more.feed.pollNow({ maxEvents: 4 })).jtis)).toEqual(
      new Set([...more.owed, ...many.slice(0, 3)]),
    )
  })

  it('take every second page of one', async () => {
    const { feed, owed } = await withOwed(4)
    const fresh = await feed.publishMany(4)
    const seen: string[] = []
    for (let i = 0; i < 8; i++) seen.push(...(await feed.pollNow({ maxEvents: 1 })).jtis)
    const kinds = seen.map(jti => (owed.includes(jti) ? 'owed' : 'new'))
    expect(kinds.slice(0, 6).join()).toBe(['owed', 'new', 'owed', 'new', 'owed', 'new'].join())
    expect(seen.filter(jti => owed.includes(jti))).toEqual(owed)
    expect(seen.filter(jti => fresh.includes(jti))).toEqual(fresh)
  })

  it('never hold up new ones when nobody acknowledges them', async () => {
    const { feed, owed } = await withOwed(10, { pageMax: 10 })
    const fresh = await feed.publishMany(20)
    const seen = new Set<string>()
    for (let polls = 0; polls < 4; polls++) {
      for (const jti of (await feed.pollNow()).jtis) seen.add(jti)
      await feed.age(1000, owed)
    }
    expect(fresh.filter(jti => !seen.has(jti))).toEqual([])
  })
})

describe('order', () => {
  it('is the order in which Redis took the SETs, for publishes of many at once', async () => {
    const feed = await lab.feed({ settings: { pageMax: 1000 } })
    await Promise.all(Array.from({ length: 60 }, () => feed.publish()))
    const entries = (await lab.redis.xrange(feed.keys.log, '-', '+')) as [string, string[]][]
    const inLog = entries.map(([, fields]) => fields[1] as string)
    const seen: string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      seen.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(seen).toEqual(inLog)
  })
})
