/**
 * The way of SETs through transmitters and shards, event by event: published, signed, appended, woken for or asked for,
 * handed out, acknowledged with the next poll. Every process is a queue with a core of its own; SETs and publish calls
 * come at random; each receiver polls, is held while there is nothing, and polls again some time after it was answered.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { Random } from '../../chaos/random.ts'
import { Clock } from './clock.ts'
import { Core } from './core.ts'
import type { Costs } from './costs.ts'
import { epochShard } from './placement.ts'
import { Draw } from './popularity.ts'
import { Queue } from './receiver.ts'
import { pollsOf, type Scenario } from './scenario.ts'

export interface ShardResult {
  /** Of a core, by what it was given: above 1 it does not keep up. */
  readonly utilisation: number
  readonly longestWaitMs: number
  readonly queuedMax: number
  readonly inFlightMax: number
}

export interface Moment {
  readonly seconds: number
  /** SETs that producers hold because the shard is away. */
  readonly withProducers: number
  readonly queued: number
}

export interface Result {
  readonly shards: readonly ShardResult[]
  readonly publicUtilisation: readonly number[]
  readonly internalUtilisation: readonly number[]
  readonly published: number
  readonly delivered: number
  readonly polls: number
  readonly epochReads: number
  /** From the arrival of the publish call to the end of the answer that brings the SET. */
  readonly delay: RecordableHistogram
  readonly hot: { readonly delay: RecordableHistogram; readonly delivered: number; readonly queuedMax: number }
  readonly moments: readonly Moment[]
}

/** A poll is asked for and answered; half each, for want of a measurement. */
const HALF = 0.5
/** What a producer or receiver waits that was answered 503: `Retry-After` is a second. */
const RETRY_US = 1e6
const SAMPLE_EVERY_US = 50_000

/** A connection by which a receiver polls. */
interface Poller {
  readonly receiver: number
  readonly process: Core
  state: 'away' | 'held' | 'asking'
  /** Notified while it asked: it looks again. */
  again: boolean
  inFlight: number
}

interface Publisher {
  readonly core: Core
  isReading: boolean
  readsAgain: boolean
}

/** @param rates SETs a second of each receiver. @param only receivers of this shard are simulated; without: all. */
export function simulate(
  costs: Costs,
  scenario: Scenario,
  rates: Float64Array,
  shardOf: Int32Array,
  only?: number,
): Result {
  const clock = new Clock()
  const random = new Random(scenario.seed)
  const { publish, append, poll } = costs.spread
  const { master } = costs.withReplica
  const networkUs = scenario.networkMs * 1000
  const turnaroundUs = scenario.turnaroundMs * 1000
  const warmUpUs = scenario.warmUpSeconds * 1e6
  const endUs = warmUpUs + scenario.seconds * 1e6

  const shards = Array.from({ length: scenario.shards }, () => new Core(clock))
  const publics = Array.from({ length: scenario.publicProcesses }, () => new Core(clock))
  const publishers = Array.from({ length: scenario.internalProcesses }, (): Publisher => {
    return { core: new Core(clock), isReading: false, readsAgain: false }
  })
  const epoch = shards[epochShard(scenario)]!
  const queued = new Int32Array(scenario.shards)
  const inFlight = new Int32Array(scenario.shards)
  const queuedMax = new Int32Array(scenario.shards)
  const inFlightMax = new Int32Array(scenario.shards)

  const delay = createHistogram({ figures: 3 })
  const hotDelay = createHistogram({ figures: 3 })
  let published = 0
  let delivered = 0
  let hotDelivered = 0
  let hotQueuedMax = 0
  let polls = 0
  let epochReads = 0
  let withProducers = 0
  const moments: Moment[] = []

  const awayFromUs = scenario.outageSeconds === undefined ? Number.POSITIVE_INFINITY : warmUpUs
  const awayUntilUs = awayFromUs + (scenario.outageSeconds ?? 0) * 1e6
  const isAway = (shard: number) => shard === only && clock.nowUs >= awayFromUs && clock.nowUs < awayUntilUs
  const between = (from: number, to: number) => from + random.next() * (to - from)
  const exponential = (mean: number) => -Math.log(1 - random.next()) * mean

  const queues: Queue[] = []
  const pollers: Poller[][] = []
  const share = new Float64Array(rates.length)
  let total = 0
  for (const [at, rate] of rates.entries()) {
    const isIn = only === undefined || shardOf[at] === only
    queues.push(new Queue())
    pollers.push(
      Array.from({ length: isIn ? pollsOf(rate, scenario) : 0 }, () => ({
        receiver: at,
        process: publics[Math.floor(random.next() * publics.length)]!,
        state: 'away',
        again: false,
        inFlight: 0,
      })),
    )
    if (isIn) {
      share[at] = rate
      total += rate
    }
  }
  const receivers = new Draw(
    share.map(rate => rate / total),
    random,
  )

  function publishCall(): void {
    clock.at(clock.nowUs + exponential((scenario.setsPerCall / total) * 1e6), publishCall)
    const publisher = publishers[Math.floor(random.next() * publishers.length)]!
    const counts = new Map<number, number>()
    for (let at = 0; at < scenario.setsPerCall; at++) {
      const receiver = receivers.next()
      counts.set(receiver, (counts.get(receiver) ?? 0) + 1)
    }
    const atUs = clock.nowUs
    const doneUs = publisher.core.add(publish.call + scenario.setsPerCall * publish.set + counts.size * publish.script)
    if (only === undefined) clock.at(doneUs, () => readEpoch(publisher))
    clock.at(doneUs + networkUs, () => {
      for (const [receiver, count] of counts) appendSets(receiver, count, atUs)
    })
  }

  function readEpoch(publisher: Publisher): void {
    if (publisher.isReading) {
      publisher.readsAgain = true
      return
    }
    publisher.isReading = true
    epochReads += 1
    clock.at(clock.nowUs + networkUs, () => {
      clock.at(epoch.add(costs.epochRead) + networkUs, () => {
        publisher.isReading = false
        if (!publisher.readsAgain) return
        publisher.readsAgain = false
        readEpoch(publisher)
      })
    })
  }

  function appendSets(receiver: number, count: number, publishedAtUs: number, isRepeated = false): void {
    const shard = shardOf[receiver]!
    if (isAway(shard)) {
      if (!isRepeated) withProducers += count
      clock.at(clock.nowUs + between(RETRY_US * HALF, RETRY_US * 1.5), () =>
        appendSets(receiver, count, publishedAtUs, true),
      )
      return
    }
    if (isRepeated) withProducers -= count
    const doneUs = shards[shard]!.add((append.script + count * append.set) * master)
    const queue = queues[receiver]!
    for (let at = 0; at < count; at++) queue.add(publishedAtUs)
    published += count
    queued[shard]! += count
    // Every process that holds a poll of it is notified.
    for (const poller of pollers[receiver]!) {
      if (poller.state !== 'away') clock.at(doneUs + networkUs, () => notify(poller))
    }
  }

  function notify(poller: Poller): void {
    if (poller.state === 'asking') poller.again = true
    if (poller.state === 'held') ask(poller)
  }

  /** A receiver asks: for the first time, or again after it was answered. */
  function request(poller: Poller): void {
    polls += 1
    ask(poller)
  }

  /** One script, for a request or for a held poll that was woken. */
  function ask(poller: Poller): void {
    poller.state = 'asking'
    poller.again = false
    clock.at(poller.process.add(poll.transmitter.call * HALF) + networkUs, () => take(poller))
  }

  function take(poller: Poller): void {
    const shard = shardOf[poller.receiver]!
    if (isAway(shard)) {
      poller.state = 'away'
      clock.at(clock.nowUs + between(RETRY_US * HALF, RETRY_US * 1.5), () => request(poller))
      return
    }
    inFlight[shard]! -= poller.inFlight
    const queue = queues[poller.receiver]!
    // What was appended before this is handled before it, and is there by then.
    const times = queue.take(scenario.pageMax)
    poller.inFlight = times.length
    inFlight[shard]! += times.length
    queued[shard]! -= times.length
    const doneUs = shards[shard]!.add((poll.redis.script + times.length * poll.redis.set) * master)
    clock.at(doneUs + networkUs, () => answer(poller, times))
  }

  function answer(poller: Poller, times: readonly number[]): void {
    const doneUs = poller.process.add(poll.transmitter.call * HALF + times.length * poll.transmitter.set)
    if (times.length === 0) {
      if (poller.again) ask(poller)
      else poller.state = 'held'
      return
    }
    poller.state = 'away'
    if (doneUs > warmUpUs && doneUs <= endUs) {
      delivered += times.length
      if (poller.receiver === 0) hotDelivered += times.length
      for (const time of times) {
        delay.record(Math.max(1, Math.round(doneUs - time)))
        if (poller.receiver === 0) hotDelay.record(Math.max(1, Math.round(doneUs - time)))
      }
    }
    clock.at(doneUs + between(turnaroundUs * HALF, turnaroundUs * 1.5), () => request(poller))
  }

  function sample(): void {
    for (let shard = 0; shard < scenario.shards; shard++) {
      queuedMax[shard] = Math.max(queuedMax[shard]!, queued[shard]!)
      inFlightMax[shard] = Math.max(inFlightMax[shard]!, inFlight[shard]!)
    }
    hotQueuedMax = Math.max(hotQueuedMax, queues[0]!.length)
    const seconds = (clock.nowUs - warmUpUs) / 1e6
    moments.push({ seconds, withProducers, queued: only === undefined ? 0 : queued[only]! })
    clock.at(clock.nowUs + SAMPLE_EVERY_US, sample)
  }

  for (const poller of pollers.flat()) clock.at(random.next() * turnaroundUs, () => request(poller))
  clock.at(0, publishCall)
  if (Number.isFinite(awayUntilUs)) {
    // Subscriptions stand again, and every held poll looks.
    clock.at(awayUntilUs, () => {
      for (const poller of pollers.flat()) {
        if (poller.state === 'held') clock.at(clock.nowUs + random.next() * RETRY_US * HALF, () => notify(poller))
      }
    })
  }
  clock.runUntil(warmUpUs)
  for (const core of [...shards, ...publics, ...publishers.map(({ core }) => core)]) core.takeAddedUs()
  published = 0
  polls = 0
  epochReads = 0
  clock.at(clock.nowUs, sample)
  clock.runUntil(endUs)

  const utilisation = (core: Core) => core.takeAddedUs() / (endUs - warmUpUs)
  return {
    shards: shards.map((core, at) => {
      const longestWaitMs = core.longestWaitUs / 1000
      return {
        utilisation: utilisation(core),
        longestWaitMs,
        queuedMax: queuedMax[at]!,
        inFlightMax: inFlightMax[at]!,
      }
    }),
    publicUtilisation: publics.map(utilisation),
    internalUtilisation: publishers.map(({ core }) => utilisation(core)),
    published,
    delivered,
    polls,
    epochReads,
    delay,
    hot: { delay: hotDelay, delivered: hotDelivered, queuedMax: hotQueuedMax },
    moments,
  }
}
