/** Credentials: opaque tokens, of which only the SHA-256 is kept. */
import { hash } from 'node:crypto'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { ListPage } from './receiver-store.ts'
import type { Scripts } from './scripts.ts'

export type Scope = 'poll' | 'publish' | 'admin' | 'read'

export interface TokenRecord {
  readonly tokenId: string
  readonly scope: Scope
  /** Of a poll token: the one receiver it speaks for. */
  readonly receiver?: string
  /** Of a publish token: stable over rotation; part of every jti it makes. */
  readonly producer?: string
  readonly receivers?: readonly string[]
  readonly eventTypes?: readonly string[]
  readonly foreign?: boolean
  readonly description?: string
  readonly createdAtMs: number
  readonly expiresAtMs?: number
  /** Coarse: see `touch`. Absent: never used. */
  readonly usedAtMs?: number
}

/** Hex digits of the SHA-256 that name a token: enough to be unique, useless to guess the token. */
const ID_LENGTH = 24

export function sha256Of(token: string): string {
  return hash('sha256', token, 'hex')
}

export function tokenIdOf(sha256: string): string {
  return sha256.slice(0, ID_LENGTH)
}

export class TokenStore {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #keys: Keys

  constructor(redis: Client, scripts: Scripts, keys: Keys) {
    this.#redis = redis
    this.#scripts = scripts
    this.#keys = keys
  }

  /** The index last: what it names and is not there has expired or was revoked, so that lists may tidy it away. */
  async add(sha256: string, record: TokenRecord): Promise<void> {
    const key = this.#keys.token(sha256)
    await this.#redis.hset(key, 'record', JSON.stringify(record)).catch(storeFailure)
    // What has expired is refused by its record; Redis forgets it a day later.
    if (record.expiresAtMs !== undefined)
      await this.#redis.pexpireat(key, record.expiresAtMs + 86_400_000).catch(storeFailure)
    await this.#redis.zadd(this.#keys.tokens, 0, sha256).catch(storeFailure)
  }

  async get(sha256: string): Promise<TokenRecord | undefined> {
    const [record, usedAt] = await this.#redis.hmget(this.#keys.token(sha256), 'record', 'usedAt').catch(storeFailure)
    if (!record) return undefined
    return { ...(JSON.parse(record) as TokenRecord), ...(usedAt ? { usedAtMs: Number(usedAt) } : {}) }
  }

  /** Notes a use, at most once in `everyMs` over all processes. @returns when it was last noted; undefined if it is gone. */
  async touch(sha256: string, everyMs: number): Promise<number | undefined> {
    const usedAtMs = Number(await this.#scripts.touch_token([this.#keys.token(sha256)], [everyMs]))
    return usedAtMs < 0 ? undefined : usedAtMs
  }

  /** The hashes of all tokens, in order, `after` one of them. */
  async hashes(count: number, after?: string): Promise<string[]> {
    const from = after === undefined ? '-' : `(${after}`
    return this.#redis.zrange(this.#keys.tokens, from, '+', 'BYLEX', 'LIMIT', 0, count).catch(storeFailure)
  }

  /** @returns the SHA-256 of the revoked token, undefined if there was none of that id. */
  async revoke(tokenId: string): Promise<string | undefined> {
    if (!/^[0-9a-f]+$/.test(tokenId) || tokenId.length !== ID_LENGTH) return undefined
    const [sha256] = await this.#redis
      .zrange(this.#keys.tokens, `[${tokenId}`, `[${tokenId}g`, 'BYLEX', 'LIMIT', 0, 1)
      .catch(storeFailure)
    if (sha256 === undefined) return undefined
    // The credential first: after a crash in between it no longer works, and the index alone is left.
    const gone = await this.#redis.del(this.#keys.token(sha256)).catch(storeFailure)
    await this.#redis.zrem(this.#keys.tokens, sha256).catch(storeFailure)
    return gone === 1 ? sha256 : undefined
  }

  async list(limit: number, cursor?: string): Promise<ListPage<TokenRecord>> {
    // A cursor is the id of a token: the beginning of its hash, after which no digit `g` comes.
    const hashes = await this.hashes(limit, cursor === undefined ? undefined : `${cursor}g`)
    const found = await Promise.all(hashes.map(sha256 => this.get(sha256)))
    const items = found.filter(record => record !== undefined)
    const gone = hashes.filter((_, i) => found[i] === undefined)
    if (gone.length > 0) await this.#redis.zrem(this.#keys.tokens, ...gone).catch(storeFailure)
    const last = hashes.at(-1)
    return hashes.length === limit && last !== undefined ? { items, next: tokenIdOf(last) } : { items }
  }
}
