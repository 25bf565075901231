/**
 * The way of SETs through transmitters and shards, event by event: published, signed, appended, woken for or asked for,
 * handed out, acknowledged with the next poll. Every process is a queue with a core of its own; publish calls come at
 * random; each receiver polls, is held while there is nothing, and polls again some time after it was answered.
 */
import { Random } from '../../chaos/random.ts'
import { Clock } from './clock.ts'
import { Core } from './core.ts'
import type { Costs } from './costs.ts'
import { Observations } from './observations.ts'
import { epochShard } from './placement.ts'
import { Draw } from './popularity.ts'
import { type Poller, Queue, type Receiver } from './receiver.ts'
import { pollsOf, type Scenario } from './scenario.ts'

export interface Result {
  readonly seen: Observations
  readonly shards: readonly ShardLoad[]
  /** Of a core each, by what it was given: above 1 it does not keep up. */
  readonly publicUtilisation: readonly number[]
  readonly internalUtilisation: readonly number[]
}

export interface ShardLoad {
  readonly utilisation: number
  readonly longestWaitMs: number
}

/** A poll is asked for and answered; half each, for want of a measurement. */
const HALF = 0.5
/** What a producer or receiver waits that was answered 503: `Retry-After` is a second. */
const RETRY_US = 1e6
const SAMPLE_EVERY_US = 50_000

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
  return new Model(costs, scenario, rates, shardOf, only).run()
}

class Model {
  readonly #clock = new Clock()
  readonly #random: Random
  readonly #costs: Costs
  readonly #scenario: Scenario
  readonly #only: number | undefined
  readonly #networkUs: number
  readonly #warmUpUs: number
  readonly #awayUntilUs: number
  readonly #shards: readonly Core[]
  readonly #epoch: Core
  readonly #publics: readonly Core[]
  readonly #publishers: readonly Publisher[]
  readonly #receivers: readonly Receiver[]
  readonly #draw: Draw
  readonly #callEveryUs: number
  readonly #queued: Int32Array
  readonly #inFlight: Int32Array
  readonly #seen: Observations
  #withProducers = 0

  constructor(costs: Costs, scenario: Scenario, rates: Float64Array, shardOf: Int32Array, only: number | undefined) {
    this.#costs = costs
    this.#scenario = scenario
    this.#only = only
    this.#random = new Random(scenario.seed)
    this.#networkUs = scenario.networkMs * 1000
    this.#warmUpUs = scenario.warmUpSeconds * 1e6
    this.#awayUntilUs = this.#warmUpUs + (scenario.outageSeconds ?? 0) * 1e6
    this.#shards = Array.from({ length: scenario.shards }, () => new Core(this.#clock))
    this.#epoch = this.#shards[epochShard(scenario)]!
    this.#publics = Array.from({ length: scenario.publicProcesses }, () => new Core(this.#clock))
    this.#publishers = Array.from({ length: scenario.internalProcesses }, () => {
      return { core: new Core(this.#clock), isReading: false, readsAgain: false }
    })
    const taken = rates.map((rate, at) => (only === undefined || shardOf[at] === only ? rate : 0))
    const total = taken.reduce((sum, rate) => sum + rate, 0)
    this.#receivers = Array.from(taken, (rate, at) => {
      const pollers = rate === 0 ? 0 : pollsOf(rate, scenario)
      return { shard: shardOf[at]!, queue: new Queue(), pollers: this.#pollers(at, pollers) }
    })
    this.#draw = new Draw(
      taken.map(rate => rate / total),
      this.#random,
    )
    this.#callEveryUs = (scenario.setsPerCall / total) * 1e6
    this.#queued = new Int32Array(scenario.shards)
    this.#inFlight = new Int32Array(scenario.shards)
    this.#seen = new Observations(scenario.shards)
  }

  run(): Result {
    const turnaroundUs = this.#scenario.turnaroundMs * 1000
    for (const { pollers } of this.#receivers) {
      for (const poller of pollers) this.#after(this.#random.next() * turnaroundUs, () => this.#request(poller))
    }
    this.#publishCall()
    if (this.#awayUntilUs > this.#warmUpUs) this.#clock.at(this.#awayUntilUs, () => this.#lookAll())
    this.#clock.runUntil(this.#warmUpUs)
    for (const core of this.#cores()) core.takeAddedUs()
    this.#seen.isOpen = true
    this.#sample()
    const seconds = this.#scenario.seconds
    this.#clock.runUntil(this.#warmUpUs + seconds * 1e6)
    const utilisation = (core: Core) => core.takeAddedUs() / (seconds * 1e6)
    return {
      seen: this.#seen,
      shards: this.#shards.map(core => {
        const longestWaitMs = core.longestWaitUs / 1000
        return { longestWaitMs, utilisation: utilisation(core) }
      }),
      publicUtilisation: this.#publics.map(utilisation),
      internalUtilisation: this.#publishers.map(({ core }) => utilisation(core)),
    }
  }

  #publishCall(): void {
    this.#after(this.#exponential(this.#callEveryUs), () => this.#publishCall())
    const { publish } = this.#costs.spread
    const { setsPerCall } = this.#scenario
    const publisher = this.#anyOf(this.#publishers)
    const counts = new Map<number, number>()
    for (let at = 0; at < setsPerCall; at++) {
      const receiver = this.#draw.next()
      counts.set(receiver, (counts.get(receiver) ?? 0) + 1)
    }
    const atUs = this.#clock.nowUs
    const doneUs = publisher.core.add(publish.call + setsPerCall * publish.set + counts.size * publish.script)
    if (this.#only === undefined) this.#clock.at(doneUs, () => this.#readEpoch(publisher))
    this.#clock.at(doneUs + this.#networkUs, () => {
      for (const [receiver, count] of counts) this.#append(receiver, count, atUs)
    })
  }

  /** Beside the appends; calls that come while one is under way share the next. */
  #readEpoch(publisher: Publisher): void {
    if (publisher.isReading) {
      publisher.readsAgain = true
      return
    }
    publisher.isReading = true
    this.#seen.epochWasRead()
    this.#after(this.#networkUs, () => {
      this.#clock.at(this.#epoch.add(this.#costs.epochRead) + this.#networkUs, () => {
        publisher.isReading = false
        if (!publisher.readsAgain) return
        publisher.readsAgain = false
        this.#readEpoch(publisher)
      })
    })
  }

  #append(id: number, count: number, publishedAtUs: number, isRepeated = false): void {
    const { shard, queue, pollers } = this.#receivers[id]!
    if (this.#isAway(shard)) {
      if (!isRepeated) this.#withProducers += count
      this.#after(this.#around(RETRY_US), () => this.#append(id, count, publishedAtUs, true))
      return
    }
    if (isRepeated) this.#withProducers -= count
    const { append } = this.#costs.spread
    const doneUs = this.#redis(shard, append.script + count * append.set)
    for (let at = 0; at < count; at++) queue.add(publishedAtUs)
    this.#queued[shard]! += count
    this.#seen.publishedSets(count)
    // Every process that holds a poll of it is notified.
    for (const poller of pollers) {
      if (poller.state !== 'away') this.#clock.at(doneUs + this.#networkUs, () => this.#notify(poller))
    }
  }

  #notify(poller: Poller): void {
    if (poller.state === 'asking') poller.again = true
    if (poller.state === 'held') this.#ask(poller)
  }

  #request(poller: Poller): void {
    this.#seen.polled()
    this.#ask(poller)
  }

  /** One script, for a request or for a held poll that was woken. */
  #ask(poller: Poller): void {
    poller.state = 'asking'
    poller.again = false
    const doneUs = poller.process.add(this.#costs.spread.poll.transmitter.call * HALF)
    this.#clock.at(doneUs + this.#networkUs, () => this.#take(poller))
  }

  #take(poller: Poller): void {
    const { shard, queue } = this.#receivers[poller.receiver]!
    if (this.#isAway(shard)) {
      poller.state = 'away'
      this.#after(this.#around(RETRY_US), () => this.#request(poller))
      return
    }
    // What was appended before this is handled before it, and is there by then.
    const times = queue.take(this.#scenario.pageMax)
    this.#inFlight[shard]! += times.length - poller.inFlight
    this.#queued[shard]! -= times.length
    poller.inFlight = times.length
    const { redis } = this.#costs.spread.poll
    const doneUs = this.#redis(shard, redis.script + times.length * redis.set)
    this.#clock.at(doneUs + this.#networkUs, () => this.#answer(poller, times))
  }

  #answer(poller: Poller, times: readonly number[]): void {
    const { call, set } = this.#costs.spread.poll.transmitter
    const doneUs = poller.process.add(call * HALF + times.length * set)
    if (times.length === 0) {
      if (poller.again) this.#ask(poller)
      else poller.state = 'held'
      return
    }
    poller.state = 'away'
    this.#seen.deliveredAt(doneUs, times, poller.receiver === 0)
    const turnaroundUs = this.#around(this.#scenario.turnaroundMs * 1000)
    this.#clock.at(doneUs + turnaroundUs, () => this.#request(poller))
  }

  /** Subscriptions stand again, and every held poll looks. */
  #lookAll(): void {
    for (const { pollers } of this.#receivers) {
      for (const poller of pollers) {
        if (poller.state === 'held') this.#after(this.#random.next() * RETRY_US * HALF, () => this.#notify(poller))
      }
    }
  }

  #sample(): void {
    const { queuedMax, inFlightMax, moments } = this.#seen
    for (let shard = 0; shard < this.#shards.length; shard++) {
      queuedMax[shard] = Math.max(queuedMax[shard]!, this.#queued[shard]!)
      inFlightMax[shard] = Math.max(inFlightMax[shard]!, this.#inFlight[shard]!)
    }
    this.#seen.hotQueuedMax = Math.max(this.#seen.hotQueuedMax, this.#receivers[0]!.queue.length)
    moments.push({
      seconds: (this.#clock.nowUs - this.#warmUpUs) / 1e6,
      withProducers: this.#withProducers,
      queued: this.#only === undefined ? 0 : this.#queued[this.#only]!,
    })
    this.#after(SAMPLE_EVERY_US, () => this.#sample())
  }

  /** @returns when the shard will have done it. */
  #redis(shard: number, us: number): number {
    return this.#shards[shard]!.add(us * this.#costs.withReplica.master)
  }

  #isAway(shard: number): boolean {
    const { nowUs } = this.#clock
    return shard === this.#only && nowUs >= this.#warmUpUs && nowUs < this.#awayUntilUs
  }

  #pollers(receiver: number, count: number): Poller[] {
    return Array.from({ length: count }, () => {
      return { receiver, process: this.#anyOf(this.#publics), state: 'away', again: false, inFlight: 0 }
    })
  }

  #cores(): Core[] {
    return [...this.#shards, ...this.#publics, ...this.#publishers.map(({ core }) => core)]
  }

  #after(us: number, action: () => void): void {
    this.#clock.at(this.#clock.nowUs + us, action)
  }

  #anyOf<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random.next() * values.length)]!
  }

  #exponential(mean: number): number {
    return -Math.log(1 - this.#random.next()) * mean
  }

  #around(mean: number): number {
    return mean * (HALF + this.#random.next())
  }
}
