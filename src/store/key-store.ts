/** Public keys of every process, so that each serves the union as JWKS: hash `<prefix>:keys`, kid → record. */
import type { PublicKeyRecord } from '../signing/key-record.ts'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

export class KeyStore {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #key: string

  constructor(redis: Client, scripts: Scripts, keys: Pick<Keys, 'keys'>) {
    this.#redis = redis
    this.#scripts = scripts
    this.#key = keys.keys
  }

  /** To be called before the first signature with a key, and whenever the files have changed. @returns how many records changed. */
  async publish(records: readonly PublicKeyRecord[]): Promise<number> {
    if (records.length === 0) return 0
    const values = records.flatMap(record => [record.kid, record.state, JSON.stringify(record)])
    return Number(await this.#scripts.publish_keys([this.#key], values))
  }

  async all(): Promise<PublicKeyRecord[]> {
    const records = await this.#redis.hgetall(this.#key).catch(storeFailure)
    return Object.values(records).map(text => JSON.parse(text) as PublicKeyRecord)
  }

  /** For retired keys with which nothing was signed that can still be delivered; they do not come back. */
  async remove(kids: readonly string[]): Promise<void> {
    if (kids.length > 0) await this.#redis.hdel(this.#key, ...kids).catch(storeFailure)
  }
}
