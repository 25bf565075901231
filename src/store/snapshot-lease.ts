/** The lease that one process holds to export facts of Redis, so that nobody counts them twice. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

export class SnapshotLease {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #key: string
  readonly #process: string

  /** @param process a name that no other process has, nor this one after a restart. */
  constructor(redis: Client, scripts: Scripts, keys: Keys, process: string) {
    this.#redis = redis
    this.#scripts = scripts
    this.#key = keys.snapshotLease
    this.#process = process
  }

  /** Takes it, or keeps it for `lastsMs` from when Redis hears of it, which is after this call. */
  async hold(lastsMs: number): Promise<boolean> {
    return (await this.#scripts.lease([this.#key], [this.#process, lastsMs])) === 1
  }

  async isFree(): Promise<boolean> {
    return (await this.#redis.exists(this.#key).catch(storeFailure)) === 0
  }

  async giveBack(): Promise<void> {
    await this.#scripts.lease([this.#key], [this.#process, 0])
  }
}
