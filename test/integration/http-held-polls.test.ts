/** Long polls: who is woken by what, how many are held, and how each ends (design, section 6; RFC 8936 §2.4, §2.5). */
import { describe, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'
import { commandsDuring } from '../support/monitor.ts'
import { isCluster, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const other = await lab.another()

/** Turns of a loop, a few hundred milliseconds of them: within a script time stands still since Redis 7.2. */
const BUSY_FOR_A_WHILE = 'for _ = 1, 3e7 do end'

describe('a held poll', () => {
  it('is answered within 50 ms of a publish through another process', async () => {
    const feed = await lab.feed()
    const tookMs: number[] = []
    for (let round = 0; round < 15; round++) {
      const [held] = await feed.hold({}, { at: other })
      const answered = held?.then(answer => ({ answer, at: performance.now() }))
      const jti = await feed.publish()
      const publishedAt = performance.now()
      const { answer, at } = (await answered) as { answer: { jtis: readonly string[] }; at: number }
      expect(answer.jtis).toEqual([jti])
      tookMs.push(at - publishedAt)
      await feed.ack([jti])
    }
    const median = tookMs.toSorted((a, b) => a - b)[7] as number
    expect(median, `from the publish's answer to the poll's: ${tookMs.map(Math.round).join(', ')} ms`).toBeLessThan(50)
  })

  it.skipIf(isCluster())('is asked for behind what its own process appends, and not again', async () => {
    const { url } = await startPrivateRedis()
    const own = await openLab({ REDIS_URL: url })
    const feeds = await Promise.all(Array.from({ length: 16 }, () => own.feed()))
    // So that Redis knows the scripts, and is not sent them in the meantime.
    const first = feeds[0] as Feed
    await first.publish()
    await first.ack((await first.pollNow()).jtis)
    const held = await Promise.all(feeds.map(feed => feed.hold()))
    const commands = await commandsDuring(
      own.prefix,
      async () => {
        // While Redis is busy, what needs no answer of it is sent. It then takes what came over one connection first.
        const busy = own.redis.eval(BUSY_FOR_A_WHILE, 0)
        const jtis = await Promise.all(feeds.map(feed => feed.publish()))
        expect(await Promise.all(held.map(async ([answer]) => (await answer)?.jtis))).toEqual(jtis.map(jti => [jti]))
        await busy
      },
      { url },
    )
    // The number of keys of a script tells which it is: an append, or a poll.
    const scripts = commands.flatMap(([name, , keys]) => (/^evalsha$/i.test(name ?? '') ? [keys] : []))
    expect(scripts.filter(keys => keys === '9')).toHaveLength(16)
    expect(scripts.filter(keys => keys === '7')).toHaveLength(16)
    expect(scripts.indexOf('9')).toBeLessThan(scripts.lastIndexOf('7'))
  })

  it('applies its acknowledgements at once, and is held all the same', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    const [held] = await feed.hold({ ack: [jti] })
    expect(await feed.check()).toMatchObject({ inFlight: 0, queued: 0 })
    const next = await feed.publish()
    expect((await held)?.jtis).toEqual([next])
  })

  it('is not ended by a SET for another receiver', async () => {
    const [feed, neighbour] = [await lab.feed(), await lab.feed()]
    const [held] = await feed.hold()
    const [theirs] = await neighbour.hold()
    await neighbour.publish()
    await theirs
    expect((await feed.stats()).heldPolls).toBe(1)
    await feed.publish()
    expect((await held)?.jtis).toHaveLength(1)
  })

  it('of none is answered when there is something, and leaves it where it is (D-11)', async () => {
    const feed = await lab.feed()
    const [held] = await feed.hold({ maxEvents: 0 })
    await feed.publish()
    const answer = await held
    expect([answer?.status, answer?.jtis, answer?.moreAvailable]).toEqual([200, [], true])
    expect(await feed.check()).toMatchObject({ queued: 1 })
  })

  it('whose client left is forgotten, and takes no SET with it', async () => {
    const feed = await lab.feed()
    const controller = new AbortController()
    await feed.hold({}, { signal: controller.signal })
    controller.abort()
    await until('it is no longer held', async () => (await feed.stats()).heldPolls === 0)
    const jti = await feed.publish()
    expect(await feed.check()).toMatchObject({ queued: 1 })
    expect((await feed.pollNow()).jtis).toEqual([jti])
    expect(await feed.locate(jti)).toMatchObject({ attempts: 1 })
  })

  it('whose client leaves just as a SET arrives loses nothing', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })
    for (let round = 0; round < 25; round++) {
      const controller = new AbortController()
      const [held] = await feed.hold({}, { signal: controller.signal })
      const publishing = feed.publish()
      for (let turn = 0; turn < round; turn++) await Promise.resolve()
      if (round % 3 === 0) await publishing
      controller.abort()
      const jti = await publishing
      const got = await (held as Promise<{ jtis: readonly string[] }>).then(
        ({ jtis }) => jtis,
        () => [],
      )
      await until('nobody is held', async () => (await feed.stats()).heldPolls === 0)
      // It may still be given back.
      const { states } = await until('counts agree', () => feed.check().catch(() => undefined))
      const state = states.get(jti)
      expect(['queued', 'due', 'inflight']).toContain(state)
      // In flight: our kernel took the answer before the client was gone. It comes after R.
      if (got.length === 0 && state === 'inflight') await feed.age(60_000)
      if (got.length === 0) expect((await feed.pollNow()).jtis).toEqual([jti])
      await feed.ack([jti])
    }
  })
})

describe('two held polls and one SET', () => {
  it('give it to the older one, whichever process holds it, and leave the other held', async () => {
    const feed = await lab.feed()
    const [first] = await feed.hold()
    const [second] = await feed.hold()
    const jti = await feed.publish()
    expect((await first)?.jtis).toEqual([jti])
    expect((await feed.stats()).heldPolls).toBe(1)
    const next = await feed.publish()
    expect((await second)?.jtis).toEqual([next])
  })

  it('give it to one of them when two processes hold them', async () => {
    const feed = await lab.feed()
    const [here] = await feed.hold()
    const [there] = await feed.hold({}, { at: other })
    const jti = await feed.publish()
    const winner = await Promise.race([
      here?.then(answer => ['here', answer] as const),
      there?.then(answer => ['there', answer] as const),
    ])
    expect(winner?.[1].jtis).toEqual([jti])
    const [loser, at] = winner?.[0] === 'here' ? [there, other] : [here, undefined]
    expect((await feed.stats(at)).heldPolls).toBe(1)
    const next = await feed.publish()
    expect((await loser)?.jtis).toEqual([next])
  })

  it('share a burst: each SET goes to one poll, and none is left over', async () => {
    const feed = await lab.feed()
    const held = []
    for (let i = 0; i < 6; i++) held.push(...(await feed.hold({ maxEvents: 1 }, i % 2 === 0 ? {} : { at: other })))
    const jtis = await feed.publishMany(6)
    const answers = await Promise.all(held)
    expect(answers.flatMap(answer => answer.jtis).toSorted()).toEqual(jtis.toSorted())
    expect(answers.every(answer => answer.jtis.length === 1)).toBe(true)
  })
})

describe('the wait', () => {
  it('ends with an empty 200 after pollWaitMs, and not before', async () => {
    const feed = await lab.feed({ settings: { pollWaitMs: 400 } })
    const startedAt = performance.now()
    const answer = await feed.poll()
    expect([answer.status, answer.text]).toEqual([200, '{"sets":{}}'])
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(395)
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })

  it('may be shortened by the client, and not lengthened (RFC 7240)', async () => {
    const feed = await lab.feed({ settings: { pollWaitMs: 3000 } })
    const waited = async (prefer: string) => {
      const startedAt = performance.now()
      expect((await feed.poll({}, { headers: { prefer } })).text).toBe('{"sets":{}}')
      return performance.now() - startedAt
    }
    expect(await waited('wait=0')).toBeLessThan(1000)
    const one = await waited('wait=1')
    expect(one).toBeGreaterThanOrEqual(990)
    expect(one).toBeLessThan(2500)
    await feed.patch({ settings: { pollWaitMs: 300 } })
    expect(await waited('wait=60')).toBeLessThan(2500)
  })
})

describe('the bounds of held polls', () => {
  it('release the receiver’s oldest with an empty 200 when one more comes (D-18)', async () => {
    const { feed: open } = await openLab({ HELD_POLLS_PER_RECEIVER: '2' })
    const [feed, neighbour] = [await open(), await open()]
    const [theirs] = await neighbour.hold()
    const [oldest] = await feed.hold()
    // Of one each: the wake for the first SET may find the second too, and would give both to the older poll.
    const [second] = await feed.hold({ maxEvents: 1 })
    const third = feed.poll({ maxEvents: 1 })
    const released = await oldest
    expect([released?.status, released?.text]).toEqual([200, '{"sets":{}}'])
    expect((await feed.stats()).heldPolls).toBe(2)
    expect((await neighbour.stats()).heldPolls).toBe(1)
    const jtis = [await feed.publish(), await feed.publish()]
    expect([(await second)?.jtis, (await third).jtis]).toEqual(jtis.map(jti => [jti]))
    await neighbour.publish()
    expect((await theirs)?.jtis).toHaveLength(1)
  })

  it('in total release the oldest of the receiver that holds most', async () => {
    const { feed: open } = await openLab({ HELD_POLLS_MAX: '4' })
    const [modest, greedy] = [await open(), await open()]
    const [first] = await modest.hold({ maxEvents: 1 })
    const [oldest] = await greedy.hold()
    await greedy.hold()
    await greedy.hold()
    const second = modest.poll({ maxEvents: 1 })
    expect((await oldest)?.text).toBe('{"sets":{}}')
    expect([(await greedy.stats()).heldPolls, (await modest.stats()).heldPolls]).toEqual([2, 2])
    const jtis = [await modest.publish(), await modest.publish()]
    expect([(await first)?.jtis, (await second).jtis]).toEqual(jtis.map(jti => [jti]))
  })
})
