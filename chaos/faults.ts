/** Faults by name, each healed by itself; and the schedule of them that a seed repeats. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Network } from './network.ts'
import type { Place } from './processes.ts'
import { Random } from './random.ts'

/** What can happen to Redis, whichever way it is deployed. `which` is from 0 to 1. */
export interface ChaosRedis {
  readonly url: string
  /** For looking only. */
  readonly redis: Redis
  /** Between transmitters and Redis; undefined where there is nothing between. */
  readonly network: Network | undefined
  crash(awayMs: number, which: number): Promise<void>
  powerCut(awayMs: number, which: number): Promise<void>
  failOver(lagMs: number, which: number): Promise<void>
  handOver(which: number): Promise<void>
  freeze(ms: number, which: number): Promise<void>
  freezeReplicas(ms: number): Promise<void>
  fillUp(ms: number): Promise<void>
  refuseWrites(ms: number): Promise<void>
  forgetScripts(): Promise<void>
  reshard?(which: number): Promise<void>
  untilWhole(): Promise<void>
  close(): Promise<void>
}

export interface World {
  readonly redis: ChaosRedis
  readonly transmitters: readonly Place[]
  readonly workers: readonly Place[]
  violated(what: string, detail: string): void
}

export interface ScheduledFault {
  readonly atMs: number
  readonly fault: FaultName
  /** From 0 to 1: which of several, how long. Drawn when the schedule is made, so that it can be replayed. */
  readonly which: number
  readonly howLong: number
}

interface Fault {
  readonly weight: number
  /** Loses what only one server has: not for CONFIRM=fsynced. */
  readonly needsReplicas?: true
  readonly needs?: 'network' | 'cluster'
  run(world: World, which: number, howLong: number): Promise<unknown>
}

const ms = (howLong: number, from: number, to: number) => Math.round(from + howLong * (to - from))
const one = <T>(values: readonly T[], which: number) => values[Math.floor(which * values.length)] as T

function killed(place: Place, awayMs: number): Promise<void> {
  return place.inTurn(async () => {
    await place.kill()
    await delay(awayMs)
    // It may well be a while before it listens, and what else happens need not wait for it.
    place.start().catch(() => {})
  })
}

function frozen(place: Place, forMs: number): Promise<void> {
  return place.inTurn(async () => {
    place.signal('SIGSTOP')
    await delay(forMs)
    place.signal('SIGCONT')
  })
}

function restarted(place: Place, { violated }: World): Promise<void> {
  return place.inTurn(async () => {
    const code = await place.terminate()
    if (code !== 0) violated('SIGTERM did not end with 0', `${place.name} ended with ${code}`)
    await place.start()
  })
}

export const FAULTS = {
  'kill-transmitter': {
    weight: 4,
    run: ({ transmitters }, which, howLong) => killed(one(transmitters, which), ms(howLong, 0, 500)),
  },
  'freeze-transmitter': {
    weight: 2,
    run: ({ transmitters }, which, howLong) => frozen(one(transmitters, which), ms(howLong, 200, 4000)),
  },
  'kill-worker': { weight: 2, run: ({ workers }, which, howLong) => killed(one(workers, which), ms(howLong, 0, 1000)) },
  'freeze-worker': {
    weight: 1,
    run: ({ workers }, which, howLong) => frozen(one(workers, which), ms(howLong, 200, 4000)),
  },
  'rolling-restart': {
    weight: 1,
    run: async world => {
      for (const place of [...world.transmitters, ...world.workers]) await restarted(place, world)
    },
  },
  'jump-clock': {
    weight: 1,
    run: async ({ transmitters, workers }, which) => one([...transmitters, ...workers], which).signal('SIGUSR2'),
  },
  'crash-redis': { weight: 2, run: ({ redis }, which, howLong) => redis.crash(ms(howLong, 0, 1500), which) },
  'power-cut': { weight: 1, run: ({ redis }, which, howLong) => redis.powerCut(ms(howLong, 0, 1500), which) },
  'freeze-redis': { weight: 2, run: ({ redis }, which, howLong) => redis.freeze(ms(howLong, 100, 3000), which) },
  'freeze-replicas': { weight: 1, run: ({ redis }, _, howLong) => redis.freezeReplicas(ms(howLong, 500, 3000)) },
  'fail-over': {
    weight: 2,
    needsReplicas: true,
    run: async ({ redis }, which, howLong) => {
      await redis.untilWhole()
      await redis.failOver(which < 0.5 ? 0 : ms(howLong, 50, 800), which)
    },
  },
  'hand-over': { weight: 2, needsReplicas: true, run: ({ redis }, which) => redis.handOver(which) },
  'fill-memory': { weight: 2, run: ({ redis }, _, howLong) => redis.fillUp(ms(howLong, 500, 3000)) },
  'refuse-writes': { weight: 1, run: ({ redis }, _, howLong) => redis.refuseWrites(ms(howLong, 500, 2000)) },
  'forget-scripts': { weight: 1, run: ({ redis }) => redis.forgetScripts() },
  reshard: { weight: 4, needs: 'cluster', run: async ({ redis }, which) => redis.reshard?.(which) },
  'cut-network': { weight: 2, needs: 'network', run: async ({ redis }) => redis.network?.cut() },
  'half-close': { weight: 1, needs: 'network', run: async ({ redis }) => redis.network?.halfClose() },
  'slow-network': {
    weight: 2,
    needs: 'network',
    run: async ({ redis: { network } }, which, howLong) => {
      if (network === undefined) return
      network.delayMs = ms(which, 20, 400)
      await delay(ms(howLong, 500, 3000))
      network.delayMs = 0
    },
  },
  'silent-network': {
    weight: 2,
    needs: 'network',
    run: async ({ redis: { network } }, _, howLong) => {
      network?.setSilent(true)
      await delay(ms(howLong, 200, 4000))
      network?.setSilent(false)
    },
  },
} satisfies Record<string, Fault>

export type FaultName = keyof typeof FAULTS

/** At most one fault of Redis or of its network at a time; processes fall beside it. */
const OF_PROCESSES: readonly FaultName[] = [
  'kill-transmitter',
  'freeze-transmitter',
  'kill-worker',
  'freeze-worker',
  'jump-clock',
]

export function isOfProcesses(fault: FaultName): boolean {
  return OF_PROCESSES.includes(fault)
}

export interface ScheduleOptions {
  readonly seconds: number
  readonly isCluster: boolean
  /** Whether CONFIRM outlives the loss of a server. */
  readonly hasReplicas: boolean
  /** Of these only; empty: of all that can be survived. */
  readonly kinds: readonly string[]
}

export function makeSchedule(
  seed: number,
  { seconds, isCluster, hasReplicas, kinds }: ScheduleOptions,
): ScheduledFault[] {
  const random = new Random(seed)
  const isPossible = (name: string, { needs, needsReplicas }: Fault) =>
    (needs === undefined || (needs === 'cluster') === isCluster) &&
    (hasReplicas || !needsReplicas) &&
    (kinds.length === 0 || kinds.includes(name))
  const bag = Object.entries(FAULTS as Record<FaultName, Fault>).flatMap(([name, fault]) =>
    isPossible(name, fault) ? new Array<FaultName>(fault.weight).fill(name as FaultName) : [],
  )
  const schedule: ScheduledFault[] = []
  for (let atMs = 2000; bag.length > 0 && atMs < seconds * 1000 - 3000; atMs += random.between(300, 2500)) {
    schedule.push({ atMs, fault: random.pick(bag), which: random.next(), howLong: random.next() })
  }
  return schedule
}
