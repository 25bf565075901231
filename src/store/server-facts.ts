/** What a Redis server says about itself, as far as this transmitter depends on it. Reads, and changes nothing. */
import type { RedisTarget } from './connection.ts'
import { storeFailure } from './failures.ts'
import { Topology } from './topology.ts'

export interface ServerFacts {
  /** `host:port` in Cluster; elsewhere `redis`. */
  readonly name: string
  readonly product: 'Redis' | 'Valkey'
  readonly version: string
  readonly role: string
  readonly connectedReplicas: number
  readonly isLastWriteOk: boolean
  readonly usedBytes: number
  /** 0: no limit. */
  readonly maxBytes: number
  /** By how much its clock is ahead of ours, give or take `clockDoubtMs`. */
  readonly clockAheadMs: number
  readonly clockDoubtMs: number
  /** Undefined where the server does not allow to ask, as some that are managed. */
  readonly settings: ReadonlyMap<string, string> | undefined
}

const SETTINGS = [
  'maxmemory-policy',
  'appendonly',
  'appendfsync',
  'save',
  'lazyfree-lazy-expire',
  'stream-node-max-bytes',
] as const
export type SettingName = (typeof SETTINGS)[number]

/** Of every master. @throws {TransmitterError} store_unavailable */
export async function serverFacts(target: RedisTarget): Promise<ServerFacts[]> {
  const topology = new Topology(target)
  await topology.refresh()
  const masters = topology.masters()
  // No node told the others: one of them says what is wrong.
  return Promise.all((masters.length === 0 ? [''] : masters).map(address => factsOf(target, address)))
}

async function factsOf(target: RedisTarget, address: string): Promise<ServerFacts> {
  const node = target.openNode(address === '' ? undefined : address)
  let reason: Error | undefined
  node.on('error', error => {
    reason = error
  })
  try {
    // Of a connection that never stood, the command only says that it is closed.
    const info = parseInfo(await node.info().catch(error => storeFailure(reason ?? error)))
    const number = (name: string) => Number(info.get(name) ?? 0)
    return {
      name: address === '' ? 'redis' : address,
      ...productOf(info),
      role: info.get('role') ?? 'unknown',
      connectedReplicas: number('connected_slaves'),
      isLastWriteOk:
        (info.get('aof_last_write_status') ?? 'ok') === 'ok' && (info.get('rdb_last_bgsave_status') ?? 'ok') === 'ok',
      usedBytes: number('used_memory'),
      maxBytes: number('maxmemory'),
      ...(await clock(() => node.time())),
      settings: await settings(name => node.config('GET', name) as Promise<string[]>),
    }
  } finally {
    node.disconnect()
  }
}

/** Valkey tells the version of Redis that it speaks besides its own. */
function productOf(info: ReadonlyMap<string, string>): Pick<ServerFacts, 'product' | 'version'> {
  const valkey = info.get('valkey_version')
  if (valkey !== undefined) return { product: 'Valkey', version: valkey }
  return { product: 'Redis', version: info.get('redis_version') ?? 'unknown' }
}

/** The quickest of a few answers leaves the least doubt. */
async function clock(ask: () => Promise<(number | string)[]>): Promise<{ clockAheadMs: number; clockDoubtMs: number }> {
  let best = { clockAheadMs: 0, clockDoubtMs: Number.POSITIVE_INFINITY }
  for (let i = 0; i < 5; i++) {
    const before = Date.now()
    const askedAt = performance.now()
    const [seconds, microseconds] = await ask().catch(storeFailure)
    const tookMs = performance.now() - askedAt
    const theirs = Number(seconds) * 1000 + Number(microseconds) / 1000
    if (tookMs / 2 < best.clockDoubtMs)
      best = { clockAheadMs: theirs - (before + tookMs / 2), clockDoubtMs: tookMs / 2 }
  }
  return best
}

async function settings(ask: (name: string) => Promise<string[]>): Promise<ReadonlyMap<string, string> | undefined> {
  const found = new Map<string, string>()
  for (const name of SETTINGS) {
    try {
      const [, value] = await ask(name)
      if (value !== undefined) found.set(name, value)
    } catch (error) {
      if (/^(NOPERM|ERR unknown)/.test((error as Error).message)) return undefined
      storeFailure(error)
    }
  }
  return found
}

function parseInfo(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^([^#:\r\n]+):([^\r\n]*)/gm)].map(([, name = '', value = '']) => [name, value]))
}
