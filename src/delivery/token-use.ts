/**
 * When tokens were last used, coarsely: noted in memory by a request, and in Redis a little later, at most once per token
 * and ten minutes over all processes.
 */
import { LRUCache } from 'lru-cache'
import type { TokenRecord, TokenStore } from '../store/token-store.ts'
import type { Logger } from '../telemetry/logger.ts'

const EVERY_MS = 600_000
const WRITE_AFTER_MS = 2000
const WRITES_AT_ONCE = 50

export class TokenUse {
  readonly #store: Pick<TokenStore, 'touch'>
  readonly #logger: Logger
  /** Tokens whose use this process has noted, and until when that is good. */
  readonly #noted = new LRUCache<string, number>({ max: 100_000 })
  #waiting = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(store: Pick<TokenStore, 'touch'>, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /** @returns until when there is nothing to note of this token. */
  note(sha256: string, { usedAtMs = 0 }: TokenRecord, nowMs: number): number {
    const untilMs = Math.max(usedAtMs + EVERY_MS, this.#noted.get(sha256) ?? 0)
    if (nowMs < untilMs) return untilMs
    this.#noted.set(sha256, nowMs + EVERY_MS)
    this.#waiting.add(sha256)
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_AFTER_MS).unref()
    return nowMs + EVERY_MS
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = [...this.#waiting]
    this.#waiting = new Set()
    for (let from = 0; from < waiting.length; from += WRITES_AT_ONCE) {
      try {
        await Promise.all(waiting.slice(from, from + WRITES_AT_ONCE).map(sha256 => this.#store.touch(sha256, EVERY_MS)))
      } catch (error) {
        // Coarse as it is, a use that goes unnoted is made up for by the next one.
        this.#logger.debug({ err: error }, 'uses of tokens could not be noted')
        for (const sha256 of waiting.slice(from)) this.#noted.delete(sha256)
        return
      }
    }
  }
}
