/** Public keys of every process, so that each serves the union as JWKS: hash `<prefix>:keys`, kid → record. */
import type { Cluster, Redis } from 'ioredis'
import type { PublicKeyRecord } from '../signing/key-record.ts'

export class KeyStore {
  readonly #redis: Redis | Cluster
  readonly #key: string

  /** @param key name of the hash. */
  constructor(redis: Redis | Cluster, key: string) {
    this.#redis = redis
    this.#key = key
  }

  async publish(records: readonly PublicKeyRecord[]): Promise<void> {
    if (records.length === 0) return
    await this.#redis.hset(this.#key, Object.fromEntries(records.map(record => [record.kid, JSON.stringify(record)])))
  }

  async all(): Promise<PublicKeyRecord[]> {
    return Object.values(await this.#redis.hgetall(this.#key)).map(text => JSON.parse(text))
  }

  async remove(kids: readonly string[]): Promise<void> {
    if (kids.length > 0) await this.#redis.hdel(this.#key, ...kids)
  }
}
