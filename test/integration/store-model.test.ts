/**
 * The life of SETs against a model: any interleaving of what producers, receivers, workers and operators do, through two
 * connections and on two receivers, leaves Redis where the model is after every step (guarantees 1 to 4 and 6).
 */
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { keysFor } from '../../src/store/keys.ts'
import type { HandedOut } from '../../src/store/page.ts'
import { ReceiverStore } from '../../src/store/receiver-store.ts'
import { type Scripts, scriptsOn } from '../../src/store/scripts.ts'
import { SetReader } from '../../src/store/set-reader.ts'
import { ANY_AGE, SetStore } from '../../src/store/set-store.ts'
import { type ModelOptions, ReceiverModel, type State } from '../support/poll-model.ts'
import { recount } from '../support/recount.ts'
import { connect, connectForRequests, isCluster, testPrefix } from '../support/redis.ts'

const RUNS = process.env.CI ? 1000 : 200
const STEPS_MAX = 50
const R = 3_600_000
const prefix = testPrefix()
const redis = connect({ replyMapping: 'legacy' })
/** Polls by the script alone, and polls that are a transaction wherever they may be; what came of the latter. */
const transactions = { read: 0, repeated: 0 }
const stores = [new SetStore(scriptsOn(redis), keysFor(prefix)), new SetStore(counted(), keysFor(prefix), undefined, 1)]
const reader = new SetReader(redis, scriptsOn(redis), keysFor(prefix))
const receivers = new ReceiverStore(redis, scriptsOn(redis), keysFor(prefix))
/** Those of producers that gave an id are remembered when they are final; the others are not. */
const JTIS = ['r0', 'r1', 'r2', 'r3', 'r4', 'n0', 'n1', 'n2']
/** For a receiver that is busy with new ones, so that polls are transactions. */
const PASSING = Array.from({ length: 10 }, (_, i) => `n${i}`)

type Step =
  | { kind: 'publish'; jtis: string[]; content: number }
  | {
      kind: 'poll'
      limit: number
      ack: number[] | 'all in flight'
      reports: number[]
      guess: string[]
      doubt: string[]
    }
  | { kind: 'lapse'; which: number | 'all' }
  | { kind: 'sweep' }
  | { kind: 'giveBack'; which: number }
  | { kind: 'requeue' | 'discard'; jtis: string[] | 'all' }
  | { kind: 'replay' }
  | { kind: 'status'; status: 'enabled' | 'paused' | 'disabled' }
  | { kind: 'expire' }

const jti = fc.constantFrom(...JTIS)
const some = <T>(value: fc.Arbitrary<T>, maxLength = 4) => fc.array(value, { maxLength })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('publish'),
      jtis: fc.array(jti, { minLength: 1, maxLength: 4 }),
      content: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('poll'),
      limit: fc.constantFrom(0, 1, 1, 2, 3, 3, 5),
      ack: some(fc.nat(), 2),
      reports: some(fc.nat(), 1),
      guess: some(jti, 1),
      doubt: fc.constantFrom([], [], ['r0'], ['n0']),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('lapse'), which: fc.oneof(fc.nat(), fc.constant('all' as const)) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('giveBack'), which: fc.constantFrom(0, 0, 0, 1, 2) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('sweep') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('requeue', 'requeue', 'discard'),
      jtis: fc.oneof(fc.constant('all' as const), some(jti)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('replay') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('status'),
      status: fc.constantFrom('enabled', 'enabled', 'enabled', 'paused', 'disabled'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire') }) },
) as fc.Arbitrary<Step>

const busyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('publish'),
      jtis: fc.array(fc.constantFrom(...PASSING), { minLength: 1, maxLength: 8 }),
      content: fc.constant(0),
    }),
  },
  {
    weight: 60,
    arbitrary: fc.record({
      kind: fc.constant('poll'),
      limit: fc.constantFrom(1, 1, 1, 2, 2, 3),
      ack: fc.constantFrom('all in flight', 'all in flight', 'all in flight', [0], [0, 0], []),
      reports: fc.constant([]),
      guess: fc.constantFrom([], [], [], [], ['n0'], ['n9']),
      doubt: fc.constant([]),
    }),
  },
  { weight: 6, arbitrary: step },
) as fc.Arbitrary<Step>

const moves = new Set<string>()
let made = 0

class Subject {
  readonly id = `m-${made++}`
  readonly keys = keysFor(prefix).of(this.id)
  readonly model: ReceiverModel
  readonly #options: ModelOptions
  readonly #pages: (readonly HandedOut[])[] = []

  constructor(options: ModelOptions) {
    this.#options = options
    this.model = new ReceiverModel(options)
  }

  /** @param isFresh its group is made by what comes, and reads with care until it has seen the end of the log. */
  async open(isFresh: boolean): Promise<void> {
    await receivers.create({ id: this.id, audience: 'https://receiver.example' }, 1)
    if (isFresh) return
    const nothing = { ack: [], reports: [], limit: 1, bytesMax: 1, idlePollsMax: 0, answeredAtOnce: true }
    await (stores[0] as SetStore).poll(this.id, nothing, this.#limits)
  }

  get #limits() {
    const { maxAttempts, isRetaining, backlogMax } = this.#options
    return {
      redeliverAfterMs: R,
      maxAttempts,
      parkAfterMs: 0,
      expireAfterMs: 0,
      retainAckedMs: isRetaining ? R : 0,
      dedupeWindowMs: R,
      backlogMax,
      backlogBytesMax: 1_000_000,
      sloMs: 0,
    }
  }

  async take(step: Step, store: SetStore): Promise<void> {
    const before = this.#states()
    switch (step.kind) {
      case 'publish': {
        const sets = step.jtis.map(name => {
          const token = `${this.id}.${name}.${step.content}`
          return { jti: name, set: token, digest: token, repeatable: name.startsWith('r') }
        })
        const expected = sets.map(({ jti, set, repeatable }) => this.model.append(jti, set, repeatable))
        expect(await store.append(this.id, sets, this.#limits)).toEqual(expected)
        break
      }
      case 'poll':
        await this.#poll(step, store)
        break
      case 'lapse': {
        const { which } = step
        const inFlight = this.model.inState('inflight')
        for (const set of inFlight.filter((_, i) => which === 'all' || i === which % inFlight.length)) {
          const id = (await redis.hget(this.keys.ids, set.jti)) as string
          await redis.xclaim(this.keys.log, 'poll', 'inflight', 0, id, 'IDLE', R, 'JUSTID')
          set.hasLapsed = true
        }
        break
      }
      case 'sweep':
        await store.sweep(this.id, '-', 500, -1, this.#limits)
        this.model.lapse()
        break
      case 'giveBack': {
        const page = this.#pages.at(-1 - step.which) ?? []
        if (page.length > 0) expect(await store.giveBack(this.id, page, R)).toBe(this.model.giveBack(page))
        break
      }
      case 'requeue': {
        const choice = step.jtis === 'all' ? { all: 100 } : { jtis: step.jtis }
        const moved = this.model.requeue(step.jtis)
        const remaining = this.model.inState('parked').length
        expect(await store.requeue(this.id, choice)).toEqual({ moved, remaining })
        break
      }
      case 'discard': {
        const choice = step.jtis === 'all' ? { all: 100 } : { jtis: step.jtis }
        const moved = this.model.discard(step.jtis)
        const remaining = this.model.inState('parked').length
        expect(await store.discard(this.id, choice, 'operator', R)).toEqual({ moved, remaining })
        break
      }
      case 'replay':
        expect((await store.replay(this.id, 0, undefined, 100)).moved).toBe(this.model.replay())
        break
      case 'status': {
        const stored = await receivers.get(this.id)
        if (stored === undefined) throw new Error('the receiver is gone')
        await receivers.update(stored, { ...stored.receiver, status: step.status })
        this.model.status = step.status
        if (step.status !== 'disabled') break
        await store.expire(this.id, 'disabled', ANY_AGE, 100)
        this.model.parkAll('disabled')
        break
      }
      case 'expire':
        await store.expire(this.id, 'expired', ANY_AGE, 100)
        this.model.parkAll('expired')
    }
    const after = this.#states()
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      moves.add(`${before.get(name) ?? 'none'} → ${after.get(name) ?? 'none'}`)
    }
  }

  async #poll(step: Extract<Step, { kind: 'poll' }>, store: SetStore): Promise<void> {
    const { everHandedOut } = this.model
    const pick = (n: number) => everHandedOut[everHandedOut.length - 1 - (n % everHandedOut.length)] ?? 'unknown'
    // What was handed out lately, twice as well, and now and then what may never have been.
    const inFlight = this.model.inState('inflight').map(set => set.jti)
    const ack = [...(step.ack === 'all in flight' ? inFlight : step.ack.map(pick)), ...step.guess]
    const reported = [...new Set([...step.reports.map(pick), ...step.doubt])]
    const reports = reported.map(name => ({ jti: name, err: 'invalid_key', description: '', language: '' }))
    const before = new Map([...this.model.open].map(([name, { token }]) => [name, token]))
    const expected = this.model.poll(step.limit, ack, reported)
    const page = await store.poll(
      this.id,
      { ack, reports, limit: step.limit, bytesMax: 1_000_000, idlePollsMax: 0, answeredAtOnce: true },
      this.#limits,
    )
    const all = [...expected.again, ...expected.fresh]
    expect(page.sets.toSorted(byJti)).toEqual(
      all.map(set => ({ jti: set.jti, set: before.get(set.jti), attempt: set.attempts })).toSorted(byJti),
    )
    const names = page.sets.map(set => set.jti)
    for (const part of [expected.fresh, expected.again]) {
      const wanted = part.map(set => set.jti)
      expect(names.filter(name => wanted.includes(name))).toEqual(wanted)
    }
    expect(page.moreAvailable).toBe(expected.moreAvailable)
    if (page.sets.length > 0) this.#pages.push(page.sets)
  }

  #states(): Map<string, State> {
    return new Map([...this.model.open].map(([name, { state }]) => [name, state]))
  }

  async check(): Promise<void> {
    const [counted, stats] = await Promise.all([recount(redis, this.keys), reader.count(this.id)])
    expect(counted.states).toEqual(this.#states())
    expect(counted.retained).toBe(this.model.retained.length)
    const { queued, inFlight, owedAgain, parked, retained } = counted
    expect(stats).toMatchObject({ queued, inFlight, owedAgain, parked, retained })
    expect(stats?.totals.bytes ?? 0).toBe(counted.bytes)
    await Promise.all(
      this.model.inState('parked').map(async set => {
        const where = await reader.locate(this.id, set.jti)
        expect(where).toMatchObject({ state: 'parked', set: set.token, why: set.parked })
      }),
    )
  }

  async close(): Promise<void> {
    await receivers.remove(this.id, true)
  }
}

function byJti(a: { jti: string }, b: { jti: string }): number {
  return a.jti < b.jti ? -1 : 1
}

function counted(): Scripts {
  if (isCluster()) return scriptsOn(connect({ replyMapping: 'legacy' }))
  const { pollAndRead, ...scripts } = scriptsOn(connectForRequests())
  return {
    ...scripts,
    pollAndRead: async (...args) => {
      const done = await pollAndRead!(...args)
      transactions[done?.page === undefined ? 'repeated' : 'read'] += 1
      return done
    },
  }
}

/** Any interleaving, on two receivers and through two connections. */
async function compare(name: string, step: fc.Arbitrary<Step>, isRetaining: fc.Arbitrary<boolean>): Promise<void> {
  const seed = Number(process.env.TEST_SEED ?? randomInt(2 ** 31))
  console.log(`${name}: seed ${seed}, ${RUNS} runs (TEST_SEED=${seed} repeats them)`)
  const options = fc.record({
    backlogMax: fc.constantFrom(3, 100, 100),
    maxAttempts: fc.constantFrom(0, 1, 2),
    isRetaining,
    isFresh: fc.boolean(),
  })
  const steps = fc.array(fc.tuple(fc.constantFrom(0, 0, 0, 1), fc.constantFrom(0, 1, 1, 1), step), {
    minLength: 1,
    maxLength: STEPS_MAX,
    size: 'max',
  })
  await fc.assert(
    fc.asyncProperty(options, steps, async (chosen, taken) => {
      const subjects = [new Subject(chosen), new Subject(chosen)]
      for (const subject of subjects) await subject.open(chosen.isFresh)
      for (const [who, through, one] of taken) {
        const subject = subjects[who] as Subject
        await subject.take(one, stores[through] as SetStore)
        await subject.check()
      }
      // What is done to one receiver leaves the other alone: each is still where its own model is.
      for (const subject of subjects) await subject.check()
      for (const subject of subjects) await subject.close()
    }),
    { numRuns: RUNS, seed, endOnFailure: false },
  )
}

it('is where the model is, after every step of any interleaving', async () => {
  await compare('life of SETs against a model', step, fc.boolean())
  // Otherwise the runs would show less than they seem to.
  const states = ['queued', 'inflight', 'due', 'parked']
  const never = ['queued → due', 'due → queued', 'inflight → queued', 'parked → queued', 'parked → inflight']
  const possible = states.flatMap(from => ['none', ...states].map(to => `${from} → ${to}`))
  const missing = possible.filter(move => !moves.has(move) && !never.includes(move) && move !== 'queued → none')
  expect(missing).toEqual([])
  expect(never.filter(move => moves.has(move))).toEqual([])
}, 300_000)

it('is where the model is where polls are transactions, those that have to be repeated among them', async ({
  skip,
}) => {
  skip(isCluster(), 'a client of a cluster sends the script alone')
  await compare('life of busy receivers against a model', busyStep, fc.constant(false))
  expect(transactions.read).toBeGreaterThan(RUNS / 4)
  expect(transactions.repeated).toBeGreaterThan(RUNS / 40)
}, 300_000)
