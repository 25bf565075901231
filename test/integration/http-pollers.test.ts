/**
 * Several pollers on two processes, held and not, leaving as they please, while SETs are published and acknowledged:
 * whatever meets whatever, each SET reaches one of them, and none that was acknowledged reaches anybody (guarantees 1 to 3).
 */
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Feed, openLab, type PollAnswer } from '../support/feed.ts'
import { until } from '../support/until.ts'

const RUNS = process.env.CI ? 1000 : 100
const R = 3_600_000
const lab = await openLab({ REDELIVER_AFTER_MS: String(R), POLL_WAIT_MS: '20000' })
const places = [lab.transmitter, await lab.another()]

type Act =
  | { kind: 'publish' }
  | { kind: 'hold'; at: number; maxEvents: number }
  | { kind: 'poll'; at: number; maxEvents: number }
  | { kind: 'leave'; which: number }
  | { kind: 'acknowledge'; at: number; count: number }
  | { kind: 'pause' | 'resume' }
  | { kind: 'settle' }

const at = fc.nat({ max: 1 })
const maxEvents = fc.constantFrom(1, 1, 2, 5)
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish') }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('hold'), at, maxEvents }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('poll'), at, maxEvents }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave'), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('acknowledge'), at, count: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pause', 'resume', 'resume') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settle') }) },
) as fc.Arbitrary<Act>

/** What a receiver of the feed has seen, over all of its pollers. */
class Watch {
  readonly #feed: Feed
  readonly published = new Set<string>()
  readonly tokens = new Map<string, string>()
  readonly owedAck: string[] = []
  readonly acked = new Set<string>()
  readonly #open = new Map<Promise<void>, AbortController>()
  readonly #calls: Promise<unknown>[] = []

  constructor(feed: Feed) {
    this.#feed = feed
  }

  take(act: Act): void {
    switch (act.kind) {
      case 'publish':
        this.#calls.push(this.#feed.publish().then(jti => this.published.add(jti)))
        break
      case 'hold':
      case 'poll': {
        const controller = new AbortController()
        const request = { maxEvents: act.maxEvents, returnImmediately: act.kind === 'poll' }
        // Known before it is asked: what was acknowledged by now must not come.
        const ackedBefore = new Set(this.acked)
        const options = { at: places[act.at] as (typeof places)[0], signal: controller.signal }
        const done: Promise<void> = this.#feed.poll(request, options).then(
          answer => this.#see(answer, ackedBefore),
          () => {}, // It left.
        )
        this.#open.set(done, controller)
        done.finally(() => this.#open.delete(done)).catch(() => {})
        this.#calls.push(done)
        break
      }
      case 'leave':
        ;[...this.#open.values()][act.which % this.#open.size]?.abort()
        break
      case 'acknowledge': {
        const jtis = this.owedAck.splice(0, act.count)
        const acking = this.#feed.ack(jtis, { at: places[act.at] as (typeof places)[0] })
        this.#calls.push(
          acking.then(() => {
            for (const jti of jtis) this.acked.add(jti)
          }),
        )
        break
      }
      case 'pause':
      case 'resume':
        this.#calls.push(this.#feed.patch({ status: act.kind === 'pause' ? 'paused' : 'enabled' }))
    }
  }

  #see(answer: PollAnswer, ackedBefore: ReadonlySet<string>): void {
    expect(answer.status).toBe(200)
    for (const [jti, token] of answer.sets) {
      expect(ackedBefore.has(jti), 'acknowledged before the poll began').toBe(false)
      expect(this.tokens.get(jti) ?? token, 'the same bytes').toBe(token)
      this.tokens.set(jti, token)
      if (!this.owedAck.includes(jti)) this.owedAck.push(jti)
    }
  }

  /** Everybody leaves; what was begun is waited for. */
  async end(): Promise<void> {
    for (const controller of this.#open.values()) controller.abort()
    await Promise.all(this.#calls)
    for (const place of places) {
      await until('nobody is held', async () => (await this.#feed.stats(place)).heldPolls === 0)
    }
  }
}

it('loses, repeats and mixes up nothing, whatever they do at the same time', async () => {
  const seed = Number(process.env.TEST_SEED ?? randomInt(2 ** 31))
  console.log(`pollers on two processes: seed ${seed}, ${RUNS} runs (TEST_SEED=${seed} repeats them)`)
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40, size: 'max' }), async acts => {
      const feed = await lab.feed()
      const watch = new Watch(feed)
      for (const one of acts) {
        watch.take(one)
        // Now and then all that is under way has its time; otherwise everything meets.
        if (one.kind === 'settle') await feed.recount()
      }
      await watch.end()
      await feed.patch({ status: 'enabled' })
      await feed.check()
      const before = new Set(watch.acked)
      // What nobody has: still queued, given back, or in an answer that our kernel took for a client that had left.
      await feed.age(R)
      const rest = new Map<string, string>()
      for (let more = true; more; ) {
        const page = await feed.pollNow()
        for (const [jti, token] of page.sets) rest.set(jti, token)
        more = page.moreAvailable
      }
      expect([...rest.keys()].filter(jti => before.has(jti))).toEqual([])
      expect(new Set([...rest.keys(), ...before])).toEqual(watch.published)
      for (const [jti, token] of watch.tokens) expect(rest.get(jti) ?? token).toBe(token)
      expect(await feed.check()).toMatchObject({ inFlight: rest.size, queued: 0, owedAgain: 0 })
    }),
    { numRuns: RUNS, seed },
  )
}, 300_000)
