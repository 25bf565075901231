/** The audit log: who did what, from where, when, and with what result; an append-only stream. Never a secret. */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

export interface Act {
  readonly who: string
  /** Network address of the caller. */
  readonly from: string
  readonly what: string
  /** What it was done to: a receiver, a token id. */
  readonly target: string
  /** Of the answer: what is 400 or more was refused or failed. */
  readonly status: number
  /** What changed, by names; values only where they are no secret. */
  readonly note: string
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

  async add(act: Act): Promise<void> {
    const fields = Object.entries(act).flatMap(([name, value]) => [name, String(value)])
    await this.#redis.xadd(this.#key, 'MAXLEN', '~', LENGTH, '*', ...fields).catch(storeFailure)
  }

  /** @param before an entry id: newest first, what is older than it. */
  async list(count: number, before?: string): Promise<AuditEntry[]> {
    const end = before === undefined ? '+' : `(${before}`
    const entries = await this.#redis.xrevrange(this.#key, end, '-', 'COUNT', count).catch(storeFailure)
    return entries.map(([id, fields]) => {
      const act = new Map<string, string>()
      for (let i = 0; i + 1 < fields.length; i += 2) act.set(fields[i] ?? '', fields[i + 1] ?? '')
      return {
        id,
        at: new Date(Number.parseInt(id, 10)).toISOString(),
        who: act.get('who') ?? '',
        from: act.get('from') ?? '',
        what: act.get('what') ?? '',
        target: act.get('target') ?? '',
        status: Number(act.get('status')),
        note: act.get('note') ?? '',
      }
    })
  }
}
