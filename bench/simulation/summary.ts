/** One run in figures: what `--json` writes and the texts are made of. */
import type { RecordableHistogram } from 'node:perf_hooks'
import { receiverIds } from '../harness/sets.ts'
import { quantile } from '../harness/statistics.ts'
import type { Costs } from './costs.ts'
import { type Result, simulate } from './model.ts'
import { epochShard, fullestWhenMoved, SHARED_KEYS } from './placement.ts'
import { type Plan, planFor, type Wanted } from './plan.ts'
import { type Resources, resourcesOf } from './resources.ts'

/** Of the network of a host of ours. */
const HOST_BITS = 10e9
const DISK_BYTES = 500e6

export interface Saturation {
  readonly what: string
  readonly utilisation: number
}

export interface Summary {
  readonly scenario: Plan['scenario']
  readonly shards: {
    readonly median: number
    readonly fullest: number
    /** Of the closed form: when slots are moved by what they cost. */
    readonly fullestWhenMoved: number
    readonly shared: number | undefined
    readonly longestWaitMs: number
    readonly queuedMax: number
    readonly inFlightMax: number
    readonly all: readonly number[]
  }
  readonly publicProcesses: Spread
  readonly internalProcesses: Spread
  readonly publishedPerSecond: number
  readonly deliveredPerSecond: number
  readonly pollsPerSecond: number
  readonly setsPerPoll: number
  readonly epochReadsPerSecond: number
  readonly delayMs: Delay
  readonly hot: {
    readonly setsPerSecond: number
    readonly deliveredPerSecond: number
    readonly delayMs: Delay
    readonly queuedMax: number
    /** Of its shard, without the others on it: the closed form. */
    readonly cores: number
    readonly shardUtilisation: number
  }
  readonly resources: Resources
  readonly saturation: readonly Saturation[]
}

interface Spread {
  readonly median: number
  readonly fullest: number
}

interface Delay {
  readonly p50: number
  readonly p99: number
}

export function runAndSummarize(costs: Costs, wanted: Wanted): Summary {
  const plan = planFor(costs, wanted)
  const result = simulate(costs, plan.scenario, plan.rates, plan.shardOf)
  return summarize(costs, plan, result)
}

function summarize(costs: Costs, plan: Plan, result: Result): Summary {
  const { scenario, rates, shardOf, demand } = plan
  const { seconds, sharedApart } = scenario
  const shared = epochShard(scenario)
  const { seen } = result
  const withReceivers = result.shards.filter((_, at) => !sharedApart || at !== shared)
  const utilisations = withReceivers.map(({ utilisation }) => utilisation)
  const resources = resourcesOf(costs, plan, seen.polls / seconds)
  const publicProcesses = spreadOf(result.publicUtilisation)
  const internalProcesses = spreadOf(result.internalUtilisation)
  const shards = {
    ...spreadOf(utilisations),
    fullestWhenMoved: fullestWhenMoved(receiverIds(scenario.receivers), demand.ofReceiver, withReceivers.length),
    shared: sharedApart ? result.shards[shared]!.utilisation : undefined,
    longestWaitMs: Math.max(...withReceivers.map(({ longestWaitMs }) => longestWaitMs)),
    queuedMax: Math.max(...seen.queuedMax),
    inFlightMax: Math.max(...seen.inFlightMax),
    all: result.shards.map(({ utilisation }) => Number(utilisation.toFixed(3))),
  }
  const { bits } = resources
  const saturation = [
    { what: 'the fullest shard', utilisation: shards.fullest },
    { what: 'the median shard', utilisation: shards.median },
    {
      what: `the shard of \`${SHARED_KEYS.epoch}\`${sharedApart ? ', on its own' : ''}`,
      utilisation: result.shards[shared]!.utilisation,
    },
    { what: 'the fullest public process', utilisation: publicProcesses.fullest },
    { what: 'the fullest internal process', utilisation: internalProcesses.fullest },
    { what: 'network of a shard, at 10 Gbit/s', utilisation: Math.max(bits.shardIn, bits.shardOut) / HOST_BITS },
    {
      what: 'network of a public process, at 10 Gbit/s',
      utilisation: Math.max(bits.publicIn, bits.publicOut) / HOST_BITS,
    },
    { what: 'disk of a shard, at 500 MB/s', utilisation: resources.diskBytes / DISK_BYTES },
    { what: 'one Redis for all jobs', utilisation: resources.jobs.redisCores },
  ]
  return {
    scenario,
    shards,
    publicProcesses,
    internalProcesses,
    publishedPerSecond: seen.published / seconds,
    deliveredPerSecond: seen.delivered / seconds,
    pollsPerSecond: seen.polls / seconds,
    setsPerPoll: seen.delivered / seen.polls,
    epochReadsPerSecond: seen.epochReads / seconds,
    delayMs: delayOf(seen.delay),
    hot: {
      setsPerSecond: rates[0]!,
      deliveredPerSecond: seen.hotDelivered / seconds,
      delayMs: delayOf(seen.hotDelay),
      queuedMax: seen.hotQueuedMax,
      cores: demand.ofReceiver[0]!,
      shardUtilisation: result.shards[shardOf[0]!]!.utilisation,
    },
    resources,
    saturation: saturation.sort((a, b) => b.utilisation - a.utilisation),
  }
}

const spreadOf = (values: readonly number[]): Spread => ({
  median: quantile(values, 0.5),
  fullest: Math.max(...values),
})

const delayOf = (histogram: RecordableHistogram): Delay => ({
  p50: histogram.percentile(50) / 1000,
  p99: histogram.percentile(99) / 1000,
})
