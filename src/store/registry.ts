/**
 * Receivers and credentials as this process knows them: caches that follow the epoch, so that the steady state needs no
 * look-up per request and a change counts everywhere within a second. While the epoch cannot be read the caches are
 * bypassed.
 */
import { LRUCache } from 'lru-cache'
import type { Change, Epoch } from './epoch.ts'
import type { Receiver, ReceiverStore } from './receiver-store.ts'
import type { TokenRecord, TokenStore } from './token-store.ts'

/** Half of what a change may take to count, so that one slow read does not break the promise. */
const READ_EVERY_MS = 500
const TRUSTED_FOR_MS = 1000
/** Heals a cache after a change whose telling was lost with the process that made it. */
const ENTRY_AGE_MAX_MS = 60_000

export class Registry {
  readonly #receivers: ReceiverStore
  readonly #tokens: TokenStore
  readonly #epoch: Epoch
  readonly #receiverCache = new LRUCache<string, Receiver>({ max: 100_000, ttl: ENTRY_AGE_MAX_MS })
  /** `false` stands for a token that does not exist; made-up ones must not cost a look-up each. */
  readonly #tokenCache = new LRUCache<string, TokenRecord | false>({ max: 100_000, ttl: ENTRY_AGE_MAX_MS })
  /** Every receiver, for events that name none; undefined until the first such event. */
  #all: Map<string, Receiver> | undefined
  #allLoadedAtMs = 0
  #stale = new Set<string>()
  #version: string | undefined
  #readAtMs = 0
  #reading: Promise<boolean> | undefined
  #queued: Promise<boolean> | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(receivers: ReceiverStore, tokens: TokenStore, epoch: Epoch) {
    this.#receivers = receivers
    this.#tokens = tokens
    this.#epoch = epoch
  }

  start(): void {
    const tick = () => {
      void this.catchUp()
        .catch(() => {}) // Redis is away: the caches are bypassed until it is back.
        .finally(() => {
          if (this.#timer !== undefined) this.#timer = setTimeout(tick, READ_EVERY_MS).unref()
        })
    }
    this.#timer = setTimeout(tick, 0).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  onChange(listener: (change: Change) => void): void {
    this.#listeners.add(listener)
  }

  async receiver(id: string): Promise<Receiver | undefined> {
    const trusted = this.#isTrusted()
    const cached = trusted ? this.#receiverCache.get(id) : undefined
    if (cached !== undefined) return cached
    const versionBefore = this.#version
    const receiver = (await this.#receivers.get(id))?.receiver
    // What was read before a change we have heard of since must not be kept.
    if (trusted && receiver !== undefined && versionBefore === this.#version) this.#receiverCache.set(id, receiver)
    return receiver
  }

  async token(sha256: string): Promise<TokenRecord | undefined> {
    const trusted = this.#isTrusted()
    const cached = trusted ? this.#tokenCache.get(sha256) : undefined
    if (cached !== undefined) return cached === false ? undefined : cached
    const versionBefore = this.#version
    const token = await this.#tokens.get(sha256)
    if (trusted && versionBefore === this.#version) this.#tokenCache.set(sha256, token ?? false)
    return token
  }

  /** Every receiver that takes an event of these types. */
  async subscribers(eventTypes: readonly string[]): Promise<Receiver[]> {
    const all = await this.#everyReceiver()
    return [...all.values()].filter(
      ({ status, eventTypes: wanted }) =>
        status !== 'disabled' && (wanted.includes('*') || eventTypes.some(type => wanted.includes(type))),
    )
  }

  async every(): Promise<readonly Receiver[]> {
    return [...(await this.#everyReceiver()).values()]
  }

  /**
   * Reads what changed, in a read that begins after this call. Calls made while one is under way share the next.
   * @returns whether a receiver changed.
   */
  catchUp(): Promise<boolean> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
      return this.#reading
    }
    this.#queued ??= this.#reading
      .catch(() => false)
      .then(() => {
        this.#queued = undefined
        return this.catchUp()
      })
    return this.#queued
  }

  async #read(): Promise<boolean> {
    const startedAtMs = Date.now()
    let receiverChanged = false
    if (this.#version === undefined) {
      this.#version = await this.#epoch.latest()
    } else {
      const { version, changes } = await this.#epoch.since(this.#version)
      this.#version = version
      if (changes === 'everything') {
        this.#forgetEverything()
        receiverChanged = true
      } else {
        for (const change of changes) receiverChanged = this.#apply(change) || receiverChanged
      }
    }
    // A long gap may have hidden changes that the stream no longer holds; entries of that age are not trusted anyway.
    this.#readAtMs = startedAtMs
    return receiverChanged
  }

  #apply(change: Change): boolean {
    for (const listener of this.#listeners) listener(change)
    if (change.kind === 'token') this.#tokenCache.delete(change.id)
    if (change.kind !== 'receiver') return false
    this.#receiverCache.delete(change.id)
    this.#stale.add(change.id)
    return true
  }

  #forgetEverything(): void {
    this.#receiverCache.clear()
    this.#tokenCache.clear()
    this.#all = undefined
  }

  #isTrusted(): boolean {
    return this.#version !== undefined && Date.now() - this.#readAtMs <= TRUSTED_FOR_MS
  }

  async #everyReceiver(): Promise<Map<string, Receiver>> {
    if (!this.#isTrusted()) await this.catchUp()
    if (this.#all === undefined || Date.now() - this.#allLoadedAtMs > ENTRY_AGE_MAX_MS) {
      this.#stale = new Set()
      const all = new Map<string, Receiver>()
      let cursor: string | undefined
      do {
        const page = await this.#receivers.list(1000, cursor)
        for (const receiver of page.items) all.set(receiver.id, receiver)
        cursor = page.next
      } while (cursor !== undefined)
      this.#all = all
      this.#allLoadedAtMs = Date.now()
    }
    const all = this.#all
    // What changed while the list was loaded, or since. An id leaves the set only once its record was read after.
    for (const id of [...this.#stale]) {
      this.#stale.delete(id)
      const receiver = (
        await this.#receivers.get(id).catch(error => {
          this.#stale.add(id)
          throw error
        })
      )?.receiver
      if (receiver === undefined) all.delete(id)
      else all.set(id, receiver)
    }
    return all
  }
}
