/** The audit log: who did what, when, and with what result; an append-only stream. Never a secret. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

export interface Act {
  readonly who: string
  readonly what: string
  /** What it was done to: a receiver, a token id. */
  readonly target: string
  readonly status: number
}

export interface AuditEntry extends Act {
  readonly id: string
  readonly at: string
}

/** About 200 bytes each; what is older is the business of whoever ships the log away. */
const LENGTH = 1_000_000

export class AuditStore {
  readonly #redis: Client
  readonly #key: string

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#key = keys.audit
  }

  async add({ who, what, target, status }: Act): Promise<void> {
    await this.#redis
      .xadd(this.#key, 'MAXLEN', '~', LENGTH, '*', 'who', who, 'what', what, 'target', target, 'status', status)
      .catch(storeFailure)
  }

  /** Newest first, older than `before`. */
  async list(count: number, before?: string): Promise<AuditEntry[]> {
    const end = before === undefined ? '+' : `(${before}`
    const entries = await this.#redis.xrevrange(this.#key, end, '-', 'COUNT', count).catch(storeFailure)
    return entries.map(([id, fields]) => ({
      id,
      at: new Date(Number.parseInt(id, 10)).toISOString(),
      who: fields[1] ?? '',
      what: fields[3] ?? '',
      target: fields[5] ?? '',
      status: Number(fields[7]),
    }))
  }
}
