/** Which shard a receiver is on: by its slot, as in Redis Cluster with slots dealt out in equal ranges. Pure. */
import { keysFor } from '../../src/store/keys.ts'
import { slotOf } from '../../src/store/topology.ts'

const SLOTS = 16_384
const keys = keysFor('set')

export const shardOfKey = (key: string, shards: number) => Math.floor((slotOf(key) * shards) / SLOTS)

export interface Shards {
  readonly shards: number
  /** The last shard has the slots of what all share, and nothing else. */
  readonly sharedApart: boolean
}

const forReceivers = ({ shards, sharedApart }: Shards) => (sharedApart ? shards - 1 : shards)

export const shardsOf = (ids: readonly string[], shards: Shards) =>
  Int32Array.from(ids, id => shardOfKey(keys.of(id).log, forReceivers(shards)))

/** The keys that all share: the version of the registry, and the jobs of workers. */
export const SHARED_KEYS = { epoch: keys.epoch, jobs: `${keys.jobs}:redelivery` } as const

/** The shard of the version of the registry, which every publish call reads. */
export const epochShard = (shards: Shards) =>
  shards.sharedApart ? shards.shards - 1 : shardOfKey(SHARED_KEYS.epoch, shards.shards)

/**
 * Cores of the fullest shard once slots were moved by what they cost, the dearest first, each to the shard that has
 * least: what `redis-cli --cluster reshard` can make of it.
 */
export function fullestWhenMoved(ids: readonly string[], cores: Float64Array, shards: number): number {
  const slots = new Map<number, number>()
  for (const [at, id] of ids.entries()) {
    const slot = slotOf(keys.of(id).log)
    slots.set(slot, (slots.get(slot) ?? 0) + cores[at]!)
  }
  const full = new Float64Array(shards)
  for (const slot of [...slots.values()].sort((a, b) => b - a)) full[full.indexOf(Math.min(...full))]! += slot
  return Math.max(...full)
}
