/**
 * From measured figures to what each step costs. Two measurements of the same call with one SET and with a hundred give
 * what the call costs and what each SET of it adds; a line through two points, and the only model there is here. Pure.
 */
import type { Points } from './measured.ts'

/** Microseconds. */
export interface CallCosts {
  /** Of the transmitter: a call, a SET of it (signing, most of all), a script that it takes. */
  readonly publish: { readonly call: number; readonly set: number; readonly script: number }
  /** Of Redis. */
  readonly append: { readonly script: number; readonly set: number }
  /** A SET is handed out, and acknowledged with the next poll. */
  readonly poll: {
    readonly transmitter: { readonly call: number; readonly set: number }
    readonly redis: { readonly script: number; readonly set: number }
  }
}

export interface Bytes {
  readonly httpIn: number
  readonly httpOut: number
  readonly redisIn: number
  readonly redisOut: number
  readonly replica: number
  readonly disk: number
}

export interface PerCall<T> {
  readonly call: T
  readonly set: T
}

export interface Costs {
  /** One process and one Redis, many calls at a time on one connection. */
  readonly single: CallCosts
  /** Many processes and shards: nothing shares a write or a read. */
  readonly spread: CallCosts
  /** What Redis does a second, at the most, by what the processor time of it would allow: the machine takes the rest. */
  readonly redisShare: number
  /** Of the load generator, for a poll, and for a SET of it. */
  readonly load: { readonly call: number; readonly set: number }
  /** By how much a replica that is waited for makes Redis dearer, and what the replica itself costs, of that. */
  readonly withReplica: { readonly master: number; readonly replica: number }
  readonly epochRead: number
  readonly job: { readonly redis: number; readonly worker: number }
  readonly memory: { readonly queued: number; readonly noted: number }
  readonly bytes: { readonly publish: PerCall<Bytes>; readonly poll: PerCall<Bytes> }
  readonly measured: {
    readonly drain100: number
    readonly drain1: number
    readonly scriptsAlone: number
    readonly setBytes: number
  }
}

const MANY = 100
const FAN_OUT = 1000

export function costsOf(points: Points): Costs {
  const point = (bench: string, side = 'setstream') => {
    const found = points[bench]?.[side]
    if (found === undefined) throw new Error(`no figure of ${bench}, ${side}`)
    return found
  }
  const us = (bench: string, process: string, side?: string) => {
    const found = point(bench, side).us?.[process]
    if (found === undefined) throw new Error(`no processor time of ${process} in ${bench}, ${side}`)
    return found
  }
  const detail = (side: string, name: keyof Bytes) => point('wire-bytes', side).detail?.[name] ?? 0

  const poll = (process: string) => line(us('drain-page-1', process), us('drain-page-100', process))
  const polledByServer = poll('server')
  const polledByRedis = poll('redis')
  // In a cluster, and where replicas confirm, the script hands pages out by itself.
  const polledByScript = line(us('drain-page-1', 'redis'), us('drain-page-100', 'redis', 'scripts alone'))
  const appended = line(us('publish-one', 'redis'), us('publish-batch', 'redis'))
  const published = publishCosts(us('publish-one', 'server'), us('publish-batch', 'server'), us('fan-out', 'server'))
  const redisShare = Math.min(1, point('drain-page-100', 'scripts alone').cores?.redis ?? 1)
  const wall = (redisUs: number) => redisUs / redisShare
  const single: CallCosts = {
    publish: published,
    append: { script: wall(appended.call), set: wall(appended.set) },
    poll: {
      transmitter: polledByServer,
      redis: { script: wall(polledByRedis.call), set: wall(polledByRedis.set) },
    },
  }
  const spread: CallCosts = {
    publish: {
      ...published,
      script: published.script + above(us('spread', 'server', 'publish, 3 shards'), us('publish-one', 'server')),
    },
    append: {
      script: wall(above(us('spread', 'redis', 'append, a connection each'), appended.set)),
      set: wall(appended.set),
    },
    poll: {
      transmitter: {
        call: above(us('spread', 'server', 'poll, 3 shards'), polledByServer.set),
        set: polledByServer.set,
      },
      redis: {
        script: wall(above(us('spread', 'redis', 'poll, a connection each'), polledByScript.set)),
        set: wall(polledByScript.set),
      },
    },
  }
  const replicated = us('confirm-drain', 'redis', 'replicated:1')
  return {
    single,
    spread,
    redisShare,
    load: poll('load'),
    withReplica: {
      master: Math.max(1, replicated / us('drain-page-100', 'redis', 'scripts alone')),
      replica: us('confirm-drain', 'replica', 'replicated:1') / replicated,
    },
    epochRead: wall(us('spread', 'redis', 'epoch, a connection each')),
    job: { redis: wall(us('jobs', 'redis')), worker: us('jobs', 'worker') },
    memory: { queued: point('redis-bytes').value, noted: point('redis-bytes', 'noted jti').value },
    bytes: {
      publish: bytesOf(name => line(detail('publish, 1 a call', name), detail('publish, 100 a call', name))),
      poll: bytesOf(name => line(detail('poll, 1 a page', name), detail('poll, 100 a page', name))),
    },
    measured: {
      drain100: point('drain-page-100').value,
      drain1: point('drain-page-1').value,
      scriptsAlone: point('drain-page-100', 'scripts alone').value,
      setBytes: point('redis-bytes', 'JWS').value,
    },
  }
}

/** @param one of a call with one SET. @param many of a SET in a call with a hundred. */
export function line(one: number, many: number): PerCall<number> {
  const set = Math.min(one, (many * MANY - one) / (MANY - 1))
  return { set, call: one - set }
}

/** A call with one SET, with a hundred in one script, with a thousand in a script each: three equations. */
export function publishCosts(one: number, batch: number, fanOut: number): CallCosts['publish'] {
  const { set, call: rest } = line(one, batch)
  const script = Math.min(rest, Math.max(0, (fanOut - set - rest / FAN_OUT) / (1 - 1 / FAN_OUT)))
  return { call: rest - script, set, script }
}

const above = (whole: number, part: number) => Math.max(0, whole - part)

function bytesOf(of: (name: keyof Bytes) => PerCall<number>): PerCall<Bytes> {
  const names = ['httpIn', 'httpOut', 'redisIn', 'redisOut', 'replica', 'disk'] as const
  const pick = (part: keyof PerCall<number>) =>
    Object.fromEntries(names.map(name => [name, Math.max(0, of(name)[part])])) as unknown as Bytes
  return { call: pick('call'), set: pick('set') }
}
