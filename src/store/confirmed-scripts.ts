/**
 * Scripts whose effects are waited for until N replicas have them (`CONFIRM=replicated:N`).
 *
 * WAIT speaks of what its own connection wrote, so these scripts run on connections of their own: a group of scripts, then
 * one WAIT for all of them. While a group waits on one connection the next gathers for another. What a script only
 * found, such as a duplicate, is covered as well, because these scripts always write something and Redis replicates in order.
 */
import type { Redis } from 'ioredis'
import { TransmitterError } from '../errors.ts'
import { COMMAND_TIMEOUT_MS, type RedisTarget } from './connection.ts'
import type { ScriptArgument } from './script-call.ts'
import { type ScriptName, type Scripts, scriptsOn } from './scripts.ts'
import { Topology } from './topology.ts'

export interface Outcome {
  readonly answer: unknown
  /** False: it was applied, but too few replicas had it in time. */
  readonly isConfirmed: boolean
}

/** Replicas answer in a millisecond or so; those that need much longer are not there. */
const WAIT_MS = 1000
/** While one waits, the next group gathers on another: more would only make the groups smaller. */
const LANES_MAX = 2
const GROUP_MAX = 256
const RETRY_MS = 50
/** After these, a connection leads to a server that is none of ours any more, or nowhere. */
const USELESS = /^READONLY|^MASTERDOWN|^LOADING|timed out|closed/i
/** A slot on its way from one node to another. */
const ON_ITS_WAY = /^(TRYAGAIN|ASK|CLUSTERDOWN)\b/

/** Of a script's answer: whether replicas have to have it before it is told. */
type Matters = (answer: unknown) => boolean

interface Job {
  readonly matters: Matters
  readonly script: ScriptName
  readonly keys: readonly string[]
  readonly args: readonly ScriptArgument[]
  readonly deadlineMs: number
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

interface Lane {
  readonly redis: Redis
  readonly scripts: Scripts
  isBusy: boolean
}

interface Shard {
  readonly address: string
  readonly queue: Job[]
  readonly lanes: Set<Lane>
  isScheduled: boolean
}

export class ConfirmedScripts {
  readonly #target: RedisTarget
  readonly #replicas: number
  readonly #topology: Topology
  readonly #shards = new Map<string, Shard>()
  #isClosed = false

  constructor(target: RedisTarget, replicas: number) {
    this.#target = target
    this.#replicas = replicas
    this.#topology = new Topology(target)
  }

  /** @throws {TransmitterError} store_unavailable when it is not known whether it was applied, as other scripts do. */
  run(
    script: ScriptName,
    keys: readonly string[],
    args: readonly ScriptArgument[],
    matters: Matters = () => true,
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#submit({ matters, script, keys, args, deadlineMs: performance.now() + COMMAND_TIMEOUT_MS, resolve, reject })
    })
  }

  close(): void {
    this.#isClosed = true
    for (const { lanes, queue } of this.#shards.values()) {
      for (const { reject } of queue.splice(0)) reject(ending())
      for (const { redis } of lanes) redis.disconnect()
    }
  }

  #submit(job: Job): void {
    if (this.#isClosed) {
      job.reject(ending())
      return
    }
    const address = this.#topology.addressOf(job.keys[0] as string)
    let shard = this.#shards.get(address)
    if (shard === undefined) {
      shard = { address, queue: [], lanes: new Set(), isScheduled: false }
      this.#shards.set(address, shard)
    }
    shard.queue.push(job)
    this.#schedule(shard)
  }

  /** At the end of this turn of the event loop: what arrived together is a group. */
  #schedule(shard: Shard): void {
    if (shard.isScheduled) return
    shard.isScheduled = true
    setImmediate(() => {
      shard.isScheduled = false
      while (shard.queue.length > 0) {
        const lane = this.#freeLane(shard)
        if (lane === undefined) return
        void this.#runGroup(shard, lane, shard.queue.splice(0, GROUP_MAX))
      }
    })
  }

  #freeLane(shard: Shard): Lane | undefined {
    for (const lane of shard.lanes) if (!lane.isBusy) return lane
    if (shard.lanes.size >= LANES_MAX) return undefined
    const redis = this.#target.openNode(shard.address === '' ? undefined : shard.address)
    const lane: Lane = { redis, scripts: scriptsOn(redis), isBusy: false }
    shard.lanes.add(lane)
    redis.once('end', () => {
      shard.lanes.delete(lane)
      // Its node may have left the cluster.
      if (!this.#isClosed) void this.#topology.refresh()
    })
    return lane
  }

  async #runGroup(shard: Shard, lane: Lane, jobs: readonly Job[]): Promise<void> {
    lane.isBusy = true
    const answered = (await Promise.all(jobs.map(job => this.#runJob(lane, job)))).filter(done => done !== undefined)
    const { wait = [], told = [] } = Object.groupBy(answered, ({ job, answer }) =>
      job.matters(answer) ? 'wait' : 'told',
    )
    for (const { job, answer } of told) job.resolve({ answer, isConfirmed: true })
    if (wait.length > 0) {
      const isConfirmed = await this.#areReplicated(lane)
      for (const { job, answer } of wait) job.resolve({ answer, isConfirmed })
    }
    lane.isBusy = false
    if (shard.queue.length > 0) this.#schedule(shard)
  }

  /** @returns undefined when it failed, or goes elsewhere. */
  async #runJob(lane: Lane, job: Job): Promise<{ job: Job; answer: unknown } | undefined> {
    if (performance.now() > job.deadlineMs) {
      const away = new TransmitterError('store_unavailable', 'The replicas are too slow.', { retryAfterSeconds: 1 })
      job.reject(away)
      return undefined
    }
    try {
      return { job, answer: await lane.scripts[job.script](job.keys, job.args) }
    } catch (error) {
      const cause = error instanceof TransmitterError ? error.cause : error
      const message = cause instanceof Error ? cause.message : ''
      if (this.#topology.learn(cause)) this.#submit(job)
      else if (ON_ITS_WAY.test(message)) setTimeout(() => this.#submit(job), RETRY_MS)
      else {
        if (USELESS.test(message)) lane.redis.disconnect()
        job.reject(error)
      }
      return undefined
    }
  }

  async #areReplicated(lane: Lane): Promise<boolean> {
    try {
      return (await lane.redis.wait(this.#replicas, WAIT_MS)) >= this.#replicas
    } catch {
      lane.redis.disconnect()
      return false
    }
  }
}

function ending(): TransmitterError {
  return new TransmitterError('store_unavailable', 'This process is ending.', { retryAfterSeconds: 1 })
}

/** @throws {TransmitterError} store_unavailable */
export function confirmedAnswer({ answer, isConfirmed }: Outcome): unknown {
  if (isConfirmed) return answer
  throw new TransmitterError('store_unavailable', 'Too few replicas have confirmed it in time. Repeat the call.', {
    retryAfterSeconds: 1,
  })
}
