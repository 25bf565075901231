/** How many polls each process holds, by receiver, as they said within the last seconds. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

/** Changes a script writes. */
const STEP = 500

export class HeldCounts {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #keys: Keys

  constructor(redis: Client, scripts: Scripts, keys: Keys) {
    this.#redis = redis
    this.#scripts = scripts
    this.#keys = keys
  }

  /** @param changes receiver → polls held now; none keeps what was said alive for `lastsMs` more. */
  async report(process: string, changes: ReadonlyMap<string, number>, lastsMs: number): Promise<void> {
    const flat = [...changes].flatMap(([receiver, count]) => [receiver, String(count)])
    for (let from = 0; from === 0 || from < flat.length; from += 2 * STEP) {
      const part = flat.slice(from, from + 2 * STEP)
      await this.#scripts.report_held([this.#keys.holders, this.#keys.heldBy(process)], [process, lastsMs, ...part])
    }
  }

  async forget(process: string): Promise<void> {
    await this.#redis.del(this.#keys.heldBy(process)).catch(storeFailure)
    await this.#redis.zrem(this.#keys.holders, process).catch(storeFailure)
  }

  /** By all processes but one. */
  async ofOthers(receiver: string, process: string): Promise<number> {
    const others = await this.#others(process)
    const counts = await Promise.all(others.map(other => this.#redis.hget(this.#keys.heldBy(other), receiver))).catch(
      storeFailure,
    )
    return counts.reduce((sum, count) => sum + Number(count ?? 0), 0)
  }

  async allOfOthers(process: string): Promise<Map<string, number>> {
    const sums = new Map<string, number>()
    for (const other of await this.#others(process)) {
      const counts = await this.#redis.hgetall(this.#keys.heldBy(other)).catch(storeFailure)
      for (const [receiver, count] of Object.entries(counts)) {
        sums.set(receiver, (sums.get(receiver) ?? 0) + Number(count))
      }
    }
    return sums
  }

  async #others(process: string): Promise<string[]> {
    const all = await this.#redis.zrange(this.#keys.holders, '0', '-1').catch(storeFailure)
    return all.filter(other => other !== process)
  }
}
