/**
 * Every key name and hash tag, in one place (design, section 6). All keys of a receiver carry the hash tag `{id}`, so
 * that each step is one script on one node, and Redis Cluster shards by receiver.
 */
import { LRUCache } from 'lru-cache'

export const GROUP = 'poll'
/** The consumers of the group are states, not processes. */
export const CONSUMER = { inflight: 'inflight', due: 'due', parked: 'parked' } as const

export interface ReceiverKeys {
  readonly log: string
  readonly ids: string
  readonly why: string
  readonly errors: string
  readonly done0: string
  readonly done1: string
  readonly acked: string
  readonly counts: string
  readonly receiver: string
  /** Entries given back lately, so that an attempt is taken back once only. */
  readonly given: string
  readonly taken: string
  /** Sharded channel on which held polls are woken. */
  readonly wake: string
}

export interface Keys {
  readonly prefix: string
  readonly receivers: string
  readonly tokens: string
  readonly keys: string
  readonly audit: string
  readonly epoch: string
  readonly schema: string
  /** Prefix of BullMQ: in braces, so that all of its keys are on one node. */
  readonly jobs: string
  /** Who exports facts of Redis. */
  readonly snapshotLease: string
  /** When a job of each queue last ended. */
  readonly workerRuns: string
  /** Processes that hold polls; with `heldBy` on one node. */
  readonly holders: string
  /** What one process holds. */
  heldBy(process: string): string
  token(sha256: string): string
  of(receiver: string): ReceiverKeys
  receiverOfWake(channel: string): string
}

/** Made for each request, they were two hundredths of all that a process allocates. */
const KNOWN_MAX = 10_000

export function keysFor(prefix: string): Keys {
  const known = new LRUCache<string, ReceiverKeys>({ max: KNOWN_MAX, memoMethod: receiver => keysOf(prefix, receiver) })
  return {
    prefix,
    receivers: `${prefix}:receivers`,
    tokens: `${prefix}:tokens`,
    keys: `${prefix}:keys`,
    audit: `${prefix}:audit`,
    epoch: `${prefix}:epoch`,
    schema: `${prefix}:schema`,
    jobs: `{${prefix}:jobs}`,
    snapshotLease: `${prefix}:snapshot-lease`,
    workerRuns: `${prefix}:worker-runs`,
    holders: `{${prefix}:held}`,
    heldBy: process => `{${prefix}:held}:${process}`,
    token: sha256 => `${prefix}:token:${sha256}`,
    of: receiver => known.memo(receiver),
    receiverOfWake: channel => channel.slice(prefix.length + 2, channel.lastIndexOf('}')),
  }
}

function keysOf(prefix: string, receiver: string): ReceiverKeys {
  const own = `${prefix}:{${receiver}}:`
  return {
    log: `${own}log`,
    ids: `${own}ids`,
    why: `${own}why`,
    errors: `${own}errors`,
    done0: `${own}done:0`,
    done1: `${own}done:1`,
    acked: `${own}acked`,
    counts: `${own}counts`,
    receiver: `${own}receiver`,
    given: `${own}given`,
    taken: `${own}taken`,
    wake: `${own}wake`,
  }
}
