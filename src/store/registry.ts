/**
 * Receivers and credentials as this process knows them: caches that follow the epoch, so that the steady state needs no
 * look-up per request and a change counts everywhere within a second. While the epoch cannot be read the caches are
 * bypassed.
 */
import { LRUCache } from 'lru-cache'
import { atTurnsEnd } from '../turn-end.ts'
import type { Change, Epoch } from './epoch.ts'
import { KnownTokens } from './known-tokens.ts'
import { ReceiverIndex } from './receiver-index.ts'
import type { Receiver, ReceiverStore } from './receiver-store.ts'
import type { TokenRecord, TokenStore } from './token-store.ts'

/** Half of what a change may take to count, so that one slow read does not break the promise. */
const READ_EVERY_MS = 500
const TRUSTED_FOR_MS = 1000
/** Heals a cache after a change whose telling was lost with the process that made it. */
const ENTRY_AGE_MAX_MS = 60_000
/**
 * The same for the list of all: a command for each receiver, and idle ones are to cost none to speak of. Whoever made a
 * change that was not told was not answered either; made again, it is told.
 */
const ALL_AGE_MAX_MS = 3_600_000
const LOAD_PAGE = 1000

export class Registry {
  readonly #receivers: ReceiverStore
  readonly #tokens: TokenStore
  readonly #epoch: Epoch
  readonly #receiverCache = new LRUCache<string, Receiver>({ max: 100_000, ttl: ENTRY_AGE_MAX_MS })
  readonly #tokenCache = new LRUCache<string, TokenRecord>({ max: 100_000, ttl: ENTRY_AGE_MAX_MS })
  /** Tokens that do not exist. Apart from those that do: made-up ones must neither cost a look-up each nor push them out. */
  readonly #noTokenCache = new LRUCache<string, true>({ max: 10_000, ttl: ENTRY_AGE_MAX_MS })
  readonly #known: KnownTokens
  /** Every receiver, for events that name none and for clients; undefined until the first of these. */
  #all: ReceiverIndex | undefined
  #allReceiverIndexAtMs = 0
  #loading: { readonly done: Promise<ReceiverIndex>; readonly changed: Set<string> } | undefined
  readonly #stale = new Set<string>()
  readonly #refreshing = new Map<string, Promise<void>>()
  #version: string | undefined
  #readAtMs = 0
  #reading: Promise<void> | undefined
  /** Not begun. */
  #next: Promise<void> | undefined
  #revision = 0
  #timer: NodeJS.Timeout | undefined
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(receivers: ReceiverStore, tokens: TokenStore, epoch: Epoch) {
    this.#receivers = receivers
    this.#tokens = tokens
    this.#known = new KnownTokens(tokens)
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

  /** To be called after the write it speaks of; this process follows at once, the others within a second. */
  async tell(change: Change): Promise<void> {
    await this.#epoch.tell(change)
    await this.catchUp()
  }

  onChange(listener: (change: Change) => void): void {
    this.#listeners.add(listener)
  }

  /** @returns undefined where only a look-up would tell. */
  knownReceiver(id: string): Receiver | undefined {
    return this.#isTrusted() ? this.#receiverCache.get(id) : undefined
  }

  async receiver(id: string): Promise<Receiver | undefined> {
    const known = this.knownReceiver(id)
    if (known !== undefined) return known
    const trusted = this.#isTrusted()
    const versionBefore = this.#version
    const receiver = (await this.#receivers.get(id))?.receiver
    // What was read before a change we have heard of since must not be kept.
    if (trusted && receiver !== undefined && versionBefore === this.#version) this.#receiverCache.set(id, receiver)
    return receiver
  }

  /** @returns null for a token that is known not to exist, undefined where only a look-up would tell. */
  cachedToken(sha256: string): TokenRecord | null | undefined {
    if (!this.#isTrusted()) return undefined
    return this.#tokenCache.get(sha256) ?? (this.#noTokenCache.has(sha256) ? null : undefined)
  }

  /** @returns false for a token that is certainly none of ours; needs no look-up. */
  mayBeToken(sha256: string): boolean {
    return this.#known.mayHave(sha256)
  }

  async token(sha256: string): Promise<TokenRecord | undefined> {
    const cached = this.cachedToken(sha256)
    if (cached !== undefined) return cached ?? undefined
    const trusted = this.#isTrusted()
    const versionBefore = this.#version
    const token = await this.#tokens.get(sha256)
    if (trusted && versionBefore === this.#version) {
      if (token === undefined) this.#noTokenCache.set(sha256, true)
      else this.#tokenCache.set(sha256, token)
    }
    return token
  }

  /** The receivers that list this client, by the name that `clientName` gives it. */
  async receiversOfClient(name: string): Promise<ReadonlySet<string>> {
    return (await this.#everyReceiver()).ofClient(name)
  }

  /** The same as `subscribers`; undefined where something would have to be read. */
  knownSubscribers(eventTypes: readonly string[]): Receiver[] | undefined {
    return this.#knownReceivers()?.subscribers(eventTypes)
  }

  /** Every receiver that takes an event of these types. */
  async subscribers(eventTypes: readonly string[]): Promise<Receiver[]> {
    return (await this.#everyReceiver()).subscribers(eventTypes)
  }

  async every(): Promise<readonly Receiver[]> {
    return (await this.#everyReceiver()).all()
  }

  /** Rises with each change of a receiver that this process has heard of. */
  get revision(): number {
    return this.#revision
  }

  /** Reads what changed, in a read that begins after this call: at the end of the turn, or behind the one under way. */
  catchUp(): Promise<void> {
    this.#next ??= this.#readNext()
    return this.#next
  }

  async #readNext(): Promise<void> {
    try {
      // A read that failed fails those who wait behind it, too: another would make them wait as long again.
      await (this.#reading ?? new Promise<void>(atTurnsEnd))
    } finally {
      this.#next = undefined
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #read(): Promise<void> {
    // Not the wall clock, which may be set back: what was read would then be trusted for as long.
    const startedAtMs = performance.now()
    if (this.#version === undefined) {
      this.#version = await this.#epoch.latest()
    } else {
      const { version, changes } = await this.#epoch.since(this.#version)
      this.#version = version
      if (changes === 'everything') this.#forgetEverything()
      else for (const change of changes) this.#apply(change)
    }
    // A long gap may have hidden changes that the stream no longer holds; entries of that age are not trusted anyway.
    this.#readAtMs = startedAtMs
  }

  #apply(change: Change): void {
    if (change.kind === 'token') {
      this.#tokenCache.delete(change.id)
      this.#noTokenCache.delete(change.id)
      this.#known.add(change.id)
    }
    if (change.kind === 'receiver') {
      this.#receiverCache.delete(change.id)
      this.#stale.add(change.id)
      this.#loading?.changed.add(change.id)
      this.#revision += 1
    }
    // Last, so that whoever looks because of it finds what is new.
    for (const listener of this.#listeners) listener(change)
  }

  #forgetEverything(): void {
    this.#receiverCache.clear()
    this.#tokenCache.clear()
    this.#noTokenCache.clear()
    this.#known.forget()
    this.#all = undefined
    this.#loading = undefined
    this.#revision += 1
  }

  #isTrusted(nowMs = performance.now()): boolean {
    return this.#version !== undefined && nowMs - this.#readAtMs <= TRUSTED_FOR_MS
  }

  /** Where that is all of them as far as this process has heard, and needs no healing. */
  #knownReceivers(): ReceiverIndex | undefined {
    const nowMs = performance.now()
    const isYoung = nowMs - this.#allReceiverIndexAtMs <= ALL_AGE_MAX_MS
    return this.#isTrusted(nowMs) && isYoung && this.#stale.size === 0 && this.#refreshing.size === 0
      ? this.#all
      : undefined
  }

  async #everyReceiver(): Promise<ReceiverIndex> {
    if (!this.#isTrusted()) await this.catchUp()
    const all = this.#all ?? (await this.#load())
    // Nobody waits for the healing: what changed since is followed all the while.
    if (performance.now() - this.#allReceiverIndexAtMs > ALL_AGE_MAX_MS) this.#load().catch(() => {})
    for (const id of this.#stale) this.#refresh(all, id)
    // Also those that another call began: what is read now must hold what changed before.
    if (this.#refreshing.size > 0) await Promise.all(this.#refreshing.values())
    return all
  }

  /** Reads one record again, after any read of it that is under way. */
  #refresh(all: ReceiverIndex, id: string): void {
    this.#stale.delete(id)
    const before = this.#refreshing.get(id) ?? Promise.resolve()
    const refreshed = before
      .catch(() => {})
      .then(async () => {
        const receiver = await this.#receivers.getReadable(id)
        if (receiver === undefined) all.forget(id)
        else all.keep(receiver)
      })
      .catch(error => {
        this.#stale.add(id)
        throw error
      })
      .finally(() => {
        if (this.#refreshing.get(id) === refreshed) this.#refreshing.delete(id)
      })
    this.#refreshing.set(id, refreshed)
  }

  /** Calls made while one is under way share it. */
  #load(): Promise<ReceiverIndex> {
    if (this.#loading === undefined) {
      const changed = new Set<string>()
      const loading = {
        changed,
        done: this.#loadAll()
          .then(all => {
            // Forgotten meanwhile: whoever waits may use it once, with what changed read again, and it is not kept.
            if (this.#loading === loading) {
              this.#all = all
              this.#allReceiverIndexAtMs = performance.now()
            }
            for (const id of changed) this.#stale.add(id)
            return all
          })
          .finally(() => {
            if (this.#loading === loading) this.#loading = undefined
          }),
      }
      this.#loading = loading
    }
    return this.#loading.done
  }

  async #loadAll(): Promise<ReceiverIndex> {
    const all = new ReceiverIndex()
    let cursor: string | undefined
    do {
      const page = await this.#receivers.list(LOAD_PAGE, cursor)
      for (const receiver of page.items) all.keep(receiver)
      cursor = page.next
    } while (cursor !== undefined)
    return all
  }
}
