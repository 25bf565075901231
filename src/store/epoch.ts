/**
 * The registry's version: a short stream of what changed, which every process reads to keep its caches true. The id of
 * its last entry is the version; an entry names a receiver, a token or the keys.
 */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import { GatheringRedis } from './gathering-redis.ts'
import type { Keys } from './keys.ts'

export interface Change {
  readonly kind: 'receiver' | 'token' | 'keys'
  readonly id: string
}

const LENGTH = 10_000
const READ_MAX = 1000

export class Epoch {
  readonly #redis: Client
  readonly #keys: Keys

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** Told after the write it speaks of, never before: a cache that reloads on it must find the new state. */
  async tell(change: Change): Promise<void> {
    await this.#redis
      .xadd(this.#keys.epoch, 'MAXLEN', '~', LENGTH, '*', 'kind', change.kind, 'id', change.id)
      .catch(storeFailure)
  }

  async latest(): Promise<string> {
    const last = await this.#redis.xrevrange(this.#keys.epoch, '+', '-', 'COUNT', 1).catch(storeFailure)
    return last[0]?.[0] ?? '0-0'
  }

  /** @returns what changed since `version`, or 'everything' when that is more than a cache should follow one by one. */
  async since(version: string): Promise<{ version: string; changes: readonly Change[] | 'everything' }> {
    const entries = await this.#entriesAfter(version)
    if (entries.length >= READ_MAX) return { version: await this.latest(), changes: 'everything' }
    const changes = entries.map(([, fields]) => ({ kind: fields[1] as Change['kind'], id: fields[3] ?? '' }))
    return { version: entries.at(-1)?.[0] ?? version, changes }
  }

  /** Asked in each turn in which events are published. Not by XREAD, whose reply is another in the newer protocol. */
  async #entriesAfter(version: string): Promise<[id: string, fields: string[]][]> {
    const { epoch } = this.#keys
    if (this.#redis instanceof GatheringRedis) {
      const reply = await this.#redis.ask(['XRANGE', epoch, `(${version}`, '+', 'COUNT', READ_MAX])
      return reply as [id: string, fields: string[]][]
    }
    return this.#redis.xrange(epoch, `(${version}`, '+', 'COUNT', READ_MAX).catch(storeFailure)
  }
}
