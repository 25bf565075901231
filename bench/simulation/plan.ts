/** How many shards and processes a load needs, by the closed form; the simulation then shows what it comes to. Pure. */
import { receiverIds } from '../harness/sets.ts'
import type { Costs } from './costs.ts'
import { type Demand, demandOf } from './demand.ts'
import { shardsOf } from './placement.ts'
import { zipf } from './popularity.ts'
import { ratesOf, type Scenario } from './scenario.ts'

export interface Plan {
  readonly scenario: Scenario
  readonly rates: Float64Array
  readonly shardOf: Int32Array
  readonly demand: Demand
}

/** What is asked for; sizes that are not given are chosen. */
export type Wanted = Omit<Scenario, 'shards' | 'sharedApart' | 'publicProcesses' | 'internalProcesses'> &
  Partial<Pick<Scenario, 'shards' | 'sharedApart' | 'publicProcesses' | 'internalProcesses'>>

/** Of a core, on average: what is left is for bursts, for catching up, and for what was not measured. */
export const UTILISATION = 0.6

const SHARDS_MIN = 3
const PROCESSES_MIN = 2
/** Cores that reading the version of the registry may take of a shard that has receivers as well. */
const EPOCH_CORES_MAX = 0.1

export function planFor(costs: Costs, wanted: Wanted): Plan {
  const ids = receiverIds(wanted.receivers)
  const rates = ratesOf(zipf(wanted.receivers, wanted.zipf), wanted)
  const sized = (sizes: Pick<Scenario, 'shards' | 'sharedApart' | 'publicProcesses' | 'internalProcesses'>): Plan => {
    const scenario = { ...wanted, ...sizes }
    const shardOf = shardsOf(ids, scenario)
    return { scenario, rates, shardOf, demand: demandOf(costs, scenario, rates, shardOf) }
  }
  const whole = sized({ shards: 1, sharedApart: false, publicProcesses: 1, internalProcesses: 1 }).demand
  const processesFor = (cores: number) => Math.max(PROCESSES_MIN, Math.ceil(cores / UTILISATION))
  const processes = {
    publicProcesses: wanted.publicProcesses ?? processesFor(whole.publicCores),
    internalProcesses: wanted.internalProcesses ?? processesFor(whole.internalCores),
  }
  const sharedApart =
    wanted.sharedApart ?? sized({ shards: 1, sharedApart: false, ...processes }).demand.epochCores > EPOCH_CORES_MAX
  const receiverCores = whole.shards[0]! - whole.epochCores
  const needed = Math.max(SHARDS_MIN, Math.ceil(receiverCores / UTILISATION))
  return sized({ shards: wanted.shards ?? needed + (sharedApart ? 1 : 0), sharedApart, ...processes })
}
