/** Receivers and their settings: the registry's records. The status stands apart, since the scripts read it. */
import { TransmitterError } from '../errors.ts'
import type { Client as OtherCredential, ReceiverInput, Settings } from '../protocol/receiver.ts'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

export type Status = 'enabled' | 'paused' | 'disabled'

export interface Receiver {
  readonly id: string
  readonly audience: string | readonly string[]
  readonly description?: string
  readonly eventTypes: readonly string[]
  readonly status: Status
  readonly owner?: string
  readonly clients?: readonly OtherCredential[]
  readonly settings: Settings
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A record with the version it was read at, so that two writers cannot undo each other. */
export interface StoredReceiver {
  readonly receiver: Receiver
  readonly version: number
}

export interface ListPage<T> {
  readonly items: T[]
  /** Where the next page begins; absent on the last. */
  readonly next?: string
}

export class ReceiverStore {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #keys: Keys
  readonly #onDamaged: (id: string, error: unknown) => void

  /** @param onDamaged told of a record that cannot be read and is passed over. */
  constructor(redis: Client, scripts: Scripts, keys: Keys, onDamaged: (id: string, error: unknown) => void = () => {}) {
    this.#redis = redis
    this.#scripts = scripts
    this.#keys = keys
    this.#onDamaged = onDamaged
  }

  /**
   * The id goes into the index before the record is written: after a crash in between the index names an id without a
   * record, which every reader skips, and the same call made again completes it.
   * @returns undefined when the id is taken, also by a deleted receiver.
   */
  async create(input: ReceiverInput, nowMs: number): Promise<Receiver | undefined> {
    const { status = 'enabled', eventTypes = ['*'], settings = {}, ...rest } = input
    const receiver: Receiver = { ...rest, eventTypes, status, settings, createdAtMs: nowMs, updatedAtMs: nowMs }
    const k = this.#keys.of(receiver.id)
    await this.#redis.zadd(this.#keys.receivers, 0, receiver.id).catch(storeFailure)
    const made = await this.#scripts.create_receiver([k.receiver, k.log], [status, toRecord(receiver)])
    return made === 1 ? receiver : undefined
  }

  /** @throws {TransmitterError} store_unavailable, internal for a record that cannot be read */
  async get(id: string): Promise<StoredReceiver | undefined> {
    try {
      const key = this.#keys.of(id).receiver
      return toStored(id, await this.#redis.hmget(key, 'status', 'record', 'version').catch(storeFailure))
    } catch (error) {
      if (error instanceof TransmitterError) throw error
      throw new TransmitterError('internal', 'The record of a receiver cannot be read.', { cause: error })
    }
  }

  /** As `get`, for whoever looks at many: one that cannot be read is passed over, since it must not stop the others. */
  async getReadable(id: string): Promise<Receiver | undefined> {
    try {
      return (await this.get(id))?.receiver
    } catch (error) {
      if (!(error instanceof TransmitterError) || error.code !== 'internal') throw error
      this.#onDamaged(id, error.cause)
      return undefined
    }
  }

  /** @returns 'changed' when the record is no longer the one that was read; undefined for an unknown receiver. */
  async update(before: StoredReceiver, receiver: Receiver): Promise<'updated' | 'changed' | undefined> {
    const k = this.#keys.of(receiver.id)
    const answer = await this.#scripts.update_receiver(
      [k.receiver, k.wake, k.counts],
      [before.version, receiver.status, toRecord(receiver)],
    )
    if (answer === -1) return undefined
    return answer === 0 ? 'changed' : 'updated'
  }

  async remove(id: string, force: boolean): Promise<'removed' | 'enabled' | undefined> {
    const k = this.#keys.of(id)
    const others = [k.log, k.ids, k.why, k.errors, k.done0, k.done1, k.acked, k.counts, k.given]
    const answer = await this.#scripts.remove_receiver([k.receiver, k.wake, ...others], [force ? '1' : '0'])
    if (answer === -1) return undefined
    return answer === 0 ? 'enabled' : 'removed'
  }

  /** By id. A page may be shorter than `limit`, and even empty, while `next` says that there are more. */
  async list(limit: number, cursor?: string): Promise<ListPage<Receiver>> {
    const from = cursor === undefined ? '-' : `(${cursor}`
    const ids = await this.#redis
      .zrange(this.#keys.receivers, from, '+', 'BYLEX', 'LIMIT', 0, limit)
      .catch(storeFailure)
    const found = await Promise.all(ids.map(id => this.getReadable(id)))
    const items = found.filter(receiver => receiver !== undefined)
    const last = ids.at(-1)
    return ids.length === limit && last !== undefined ? { items, next: last } : { items }
  }
}

function toRecord(receiver: Receiver): string {
  const { id: _id, status: _status, ...record } = receiver
  return JSON.stringify(record)
}

function toStored(id: string, fields: (string | null)[]): StoredReceiver | undefined {
  const [status, record, version] = fields
  if (!status || !record) return undefined
  const known = JSON.parse(record) as Partial<Receiver> | null
  if (!known?.audience || !Array.isArray(known.eventTypes) || !known.settings) throw new Error('not a receiver')
  return { receiver: { id, ...known, status } as Receiver, version: Number(version) }
}
