/** Network, disk, memory and background work of a plan, from measured bytes and costs. Pure. */
import type { Bytes, Costs } from './costs.ts'
import type { Plan } from './plan.ts'

/** Assumptions, with their reasons. */
export const ASSUMED = {
  /** Of each master: one that takes over, and one that then follows, as `replicated:1` needs. The second is as dear as the first. */
  replicas: 2,
  /** TCP and IP headers and TLS records, on what the applications send. */
  framing: 1.1,
  /** What jtis are noted for, in the default configuration, and a turn of the two sets that hold them. */
  dedupeSeconds: 600,
  dedupeTurns: 1.5,
  /** Receivers that are away at once, and for how long, that memory is kept for. */
  awayShare: 0.01,
  awaySeconds: 3600,
  backlogMax: 100_000,
  /** Of Redis for connections, scripts, buffers, and of what fragmentation adds. */
  baseBytes: 200e6,
  fragmentation: 1.2,
  redeliverAfterSeconds: 60,
  snapshotSeconds: 10,
  /** Measured apart from these benchmarks: docs/operate.md. */
  snapshotReceiverUs: 30,
} as const

export interface Resources {
  /** Bits a second, of the average of its kind. */
  readonly bits: {
    readonly shardIn: number
    readonly shardOut: number
    readonly replicaIn: number
    readonly publicIn: number
    readonly publicOut: number
    readonly internalIn: number
    readonly internalOut: number
    readonly toReceivers: number
  }
  /** Appended to the append-only file of a shard, bytes a second. */
  readonly diskBytes: number
  /** Of the average shard. */
  readonly memory: { readonly noted: number; readonly away: number; readonly total: number }
  /** All shards, bytes a minute, while nobody polls. */
  readonly memoryAMinute: number
  readonly jobs: { readonly perSecond: number; readonly redisCores: number; readonly workerCores: number }
  readonly snapshot: { readonly redisCores: number }
  readonly connectionsPerShard: number
  /** Of the average replica. */
  readonly replicaUtilisation: number
}

/** @param pollsPerSecond answered polls, not scripts. */
export function resourcesOf(costs: Costs, { scenario, rates, demand }: Plan, pollsPerSecond: number): Resources {
  const { shards, publicProcesses, internalProcesses, setsPerCall } = scenario
  const sets = rates.reduce((total, rate) => total + rate, 0)
  const bitsOf = (bytes: number) => bytes * 8 * ASSUMED.framing
  const published = perSecond(costs.bytes.publish, sets, sets / setsPerCall, sets)
  const polled = perSecond(costs.bytes.poll, sets, pollsPerSecond, demand.pollScripts)
  const notedBytes = (sets * ASSUMED.dedupeSeconds * ASSUMED.dedupeTurns * costs.memory.noted) / shards
  // Those that are away may be the popular ones as well as any others: the average.
  const away = rates.map(rate => Math.min(rate * ASSUMED.awaySeconds, ASSUMED.backlogMax)).reduce((a, b) => a + b, 0)
  const awayBytes = (away * ASSUMED.awayShare * costs.memory.queued) / shards
  const jobsPerSecond = scenario.receivers / ASSUMED.redeliverAfterSeconds
  return {
    bits: {
      shardIn: bitsOf(published.redisIn + polled.redisIn) / shards,
      shardOut:
        bitsOf(published.redisOut + polled.redisOut + ASSUMED.replicas * (published.replica + polled.replica)) / shards,
      replicaIn: bitsOf(published.replica + polled.replica) / shards,
      publicIn: bitsOf(polled.httpIn + polled.redisOut) / publicProcesses,
      publicOut: bitsOf(polled.httpOut + polled.redisIn) / publicProcesses,
      internalIn: bitsOf(published.httpIn + published.redisOut) / internalProcesses,
      internalOut: bitsOf(published.httpOut + published.redisIn) / internalProcesses,
      toReceivers: bitsOf(polled.httpOut),
    },
    diskBytes: (published.disk + polled.disk) / shards,
    memory: {
      noted: notedBytes,
      away: awayBytes,
      total: (notedBytes + awayBytes + ASSUMED.baseBytes) * ASSUMED.fragmentation,
    },
    memoryAMinute: sets * 60 * costs.memory.queued,
    jobs: {
      perSecond: jobsPerSecond,
      redisCores: (jobsPerSecond * costs.job.redis) / 1e6,
      workerCores: (jobsPerSecond * costs.job.worker) / 1e6,
    },
    snapshot: { redisCores: (scenario.receivers * ASSUMED.snapshotReceiverUs) / ASSUMED.snapshotSeconds / 1e6 },
    // Of each process: for requests, for subscriptions, and two by which replication is waited for.
    connectionsPerShard: publicProcesses * 4 + internalProcesses * 3,
    replicaUtilisation: (demand.shards.reduce((total, cores) => total + cores, 0) * costs.withReplica.replica) / shards,
  }
}

/** HTTP is by the call; what Redis sends and receives is by the script. */
function perSecond(bytes: { call: Bytes; set: Bytes }, sets: number, calls: number, scripts: number): Bytes {
  const of = (name: keyof Bytes, count: number) => bytes.call[name] * count + bytes.set[name] * sets
  return {
    httpIn: of('httpIn', calls),
    httpOut: of('httpOut', calls),
    redisIn: of('redisIn', scripts),
    redisOut: of('redisOut', scripts),
    replica: of('replica', scripts),
    disk: of('disk', scripts),
  }
}
