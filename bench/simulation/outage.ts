/** One shard does not answer for some seconds, as when its replica takes over: what waits meanwhile, and until when. */
import { quantile } from '../harness/statistics.ts'
import type { Costs } from './costs.ts'
import { simulate } from './model.ts'
import type { Plan } from './plan.ts'

export interface Outage {
  readonly seconds: number
  /** Cores that the load of the shard takes, before. */
  readonly utilisation: number
  readonly setsPerSecond: number
  readonly waitingMax: number
  readonly queuedMax: number
  /** After it is back: until producers hold nothing and the queue is no longer than it may be on an ordinary second. */
  readonly recoveredAfterSeconds: number | undefined
  readonly delayP99Ms: number
}

/** Watched for, after the shard is back. */
const AFTER_SECONDS = 20
const ORDINARY_SECONDS = 0.1

/** Of the median shard alone, with all its receivers: the others notice nothing, and would only take time. */
export function simulateOutage(costs: Costs, { scenario, rates, shardOf, demand }: Plan, seconds: number): Outage {
  const receivers = scenario.sharedApart ? demand.shards.slice(0, -1) : demand.shards
  const middle = quantile([...receivers], 0.5)
  const shard = receivers.reduce((best, cores, at) => {
    return Math.abs(cores - middle) < Math.abs(receivers[best]! - middle) ? at : best
  }, 0)
  const setsPerSecond = rates.reduce((sum, rate, at) => (shardOf[at] === shard ? sum + rate : sum), 0)
  const away = { ...scenario, outageSeconds: seconds, seconds: seconds + AFTER_SECONDS }
  const { moments, delay } = simulate(costs, away, rates, shardOf, shard).seen
  const ordinary = setsPerSecond * ORDINARY_SECONDS
  const last = moments.findLast(
    ({ seconds: at, withProducers, queued }) => at > seconds && (withProducers > 0 || queued > ordinary),
  )
  const recovered = last === undefined ? 0 : last.seconds - seconds
  return {
    seconds,
    utilisation: receivers[shard]!,
    setsPerSecond,
    waitingMax: Math.max(...moments.map(({ withProducers }) => withProducers)),
    queuedMax: Math.max(...moments.map(({ queued }) => queued)),
    recoveredAfterSeconds: recovered > AFTER_SECONDS - 1 ? undefined : recovered,
    delayP99Ms: delay.percentile(99) / 1000,
  }
}
