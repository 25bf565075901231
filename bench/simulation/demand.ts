/**
 * What a second of the load asks of each shard and of the transmitters, in closed form: for choosing sizes, and to hold
 * the simulation against. Pure.
 */
import type { Costs } from './costs.ts'
import { epochShard } from './placement.ts'
import { pollsOf, type Scenario } from './scenario.ts'

export interface Demand {
  /** Cores of Redis, by shard. */
  readonly shards: Float64Array
  /** The same by receiver. */
  readonly ofReceiver: Float64Array
  /** Of these, for reading the version of the registry. */
  readonly epochCores: number
  readonly publicCores: number
  readonly internalCores: number
  /** Scripts a second of polls, all receivers. */
  readonly pollScripts: number
}

/**
 * A receiver that polls again after a while, and is held when there is nothing. SETs come at random, so that nothing has
 * come with probability e^-m, where m is what comes meanwhile on average; then one more SET ends the hold, by a second
 * script.
 */
export function pollsPerSet(
  setsMeanwhile: number,
  pageMax: number,
): { readonly scripts: number; readonly answers: number } {
  const nothing = Math.exp(-setsMeanwhile)
  const sets = Math.min(pageMax, setsMeanwhile + nothing)
  return { scripts: (1 + nothing) / sets, answers: 1 / sets }
}

/** @param shardOf the shard of each receiver. */
export function demandOf(costs: Costs, scenario: Scenario, rates: Float64Array, shardOf: Int32Array): Demand {
  const { publish, append, poll } = costs.spread
  const { master } = costs.withReplica
  const shards = new Float64Array(scenario.shards)
  const ofReceiver = new Float64Array(rates.length)
  let total = 0
  let pollScripts = 0
  for (const [at, rate] of rates.entries()) {
    const polls = pollsOf(rate, scenario)
    const { scripts } = pollsPerSet((rate * scenario.turnaroundMs) / 1000 / polls, scenario.pageMax)
    total += rate
    pollScripts += rate * scripts
    ofReceiver[at] = (rate * master * (append.script + append.set + poll.redis.set + scripts * poll.redis.script)) / 1e6
  }
  for (const [at, cores] of ofReceiver.entries()) shards[shardOf[at]!]! += cores
  const calls = total / scenario.setsPerCall
  const epochCores = (epochReads(calls, scenario) * costs.epochRead) / 1e6
  shards[epochShard(scenario)]! += epochCores
  return {
    shards,
    ofReceiver,
    epochCores,
    publicCores: (pollScripts * poll.transmitter.call + total * poll.transmitter.set) / 1e6,
    internalCores: (calls * publish.call + total * (publish.set + publish.script)) / 1e6,
    pollScripts,
  }
}

/** A second, at the most: calls of a process share the read that follows the one under way. */
export function epochReads(calls: number, { internalProcesses, networkMs }: Scenario): number {
  return Math.min(calls, (internalProcesses * 1000) / (2 * networkMs))
}
