/** What receivers reported in `setErrs`, and how far that has been logged. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

export interface ReportEntry {
  readonly entryId: string
  readonly jti: string
  readonly err: string
  readonly description: string
  readonly language: string
  readonly attempts: number
}

export class ReportStore {
  readonly #redis: Client
  readonly #keys: Keys

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** Reports from `setErrs`, newest first, older than `before`. */
  async list(receiver: string, count: number, before?: string): Promise<ReportEntry[]> {
    const end = before === undefined ? '+' : `(${before}`
    const entries = await this.#redis
      .xrevrange(this.#keys.of(receiver).errors, end, '-', 'COUNT', count)
      .catch(storeFailure)
    return entries.map(toReport)
  }

  /** Reports that have not been logged yet, oldest first. */
  async unlogged(receiver: string, count: number): Promise<ReportEntry[]> {
    const k = this.#keys.of(receiver)
    const last = await this.#redis.hget(k.counts, 'loggedReport').catch(storeFailure)
    const entries = await this.#redis
      .xrange(k.errors, last === null ? '-' : `(${last}`, '+', 'COUNT', count)
      .catch(storeFailure)
    return entries.map(toReport)
  }

  /** The reports up to `entryId` are in the log. Told after they are, so that a crash repeats a line rather than loses it. */
  async logged(receiver: string, entryId: string): Promise<void> {
    await this.#redis.hset(this.#keys.of(receiver).counts, 'loggedReport', entryId).catch(storeFailure)
  }
}

function toReport([entryId, fields]: [string, string[]]): ReportEntry {
  const value = new Map<string, string>()
  for (let i = 0; i < fields.length; i += 2) value.set(fields[i] as string, fields[i + 1] ?? '')
  return {
    entryId,
    jti: value.get('jti') ?? '',
    err: value.get('err') ?? '',
    description: value.get('description') ?? '',
    language: value.get('language') ?? '',
    attempts: Number(value.get('attempts')),
  }
}
