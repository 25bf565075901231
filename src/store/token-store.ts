/** Credentials: opaque tokens, of which only the SHA-256 is kept. */
import { hash } from 'node:crypto'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { ListPage } from './receiver-store.ts'

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
  readonly #keys: Keys

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** The index first: after a crash in between it names a token that does not exist, which lists skip. */
  async add(sha256: string, record: TokenRecord): Promise<void> {
    await this.#redis.zadd(this.#keys.tokens, 0, sha256).catch(storeFailure)
    const key = this.#keys.token(sha256)
    await this.#redis.hset(key, 'record', JSON.stringify(record)).catch(storeFailure)
    // What has expired is refused by its record; Redis forgets it a day later.
    if (record.expiresAtMs !== undefined)
      await this.#redis.pexpireat(key, record.expiresAtMs + 86_400_000).catch(storeFailure)
  }

  async get(sha256: string): Promise<TokenRecord | undefined> {
    const record = await this.#redis.hget(this.#keys.token(sha256), 'record').catch(storeFailure)
    return record === null ? undefined : (JSON.parse(record) as TokenRecord)
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
    const from = cursor === undefined ? '-' : `[${cursor}g`
    const hashes = await this.#redis
      .zrange(this.#keys.tokens, from, '+', 'BYLEX', 'LIMIT', 0, limit)
      .catch(storeFailure)
    const found = await Promise.all(hashes.map(sha256 => this.get(sha256)))
    const items = found.filter(record => record !== undefined)
    const last = hashes.at(-1)
    return hashes.length === limit && last !== undefined ? { items, next: tokenIdOf(last) } : { items }
  }
}
