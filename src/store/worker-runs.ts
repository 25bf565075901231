/** When a job of each queue last ended, in any process: what tells an operator that workers are gone. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

/** Busy queues end thousands of jobs a second. */
const NOTE_EVERY_MS = 1000

export class WorkerRuns {
  readonly #redis: Client
  readonly #key: string
  readonly #notedAtMs = new Map<string, number>()

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#key = keys.workerRuns
  }

  /** A job of this queue has ended. Never fails: the next one says it again. */
  note(queue: string): void {
    const nowMs = Date.now()
    if (nowMs - (this.#notedAtMs.get(queue) ?? 0) < NOTE_EVERY_MS) return
    this.#notedAtMs.set(queue, nowMs)
    this.#redis.hset(this.#key, queue, nowMs).catch(() => {})
  }

  /** Queue → milliseconds since 1970. */
  async last(): Promise<Record<string, number>> {
    const runs = await this.#redis.hgetall(this.#key).catch(storeFailure)
    return Object.fromEntries(Object.entries(runs).map(([queue, ms]) => [queue, Number(ms)]))
  }
}
