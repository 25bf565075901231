/**
 * Which tokens there are, by the beginning of their hashes: enough to tell most made-up ones without asking Redis. Read
 * when it is first needed, and kept by the changes that the epoch tells; what was revoked stays in it and costs a look-up.
 */
import type { TokenStore } from './token-store.ts'

/** 48 bits: exact as a number, and a stranger's token meets one of a million with a chance of 1 in 280 million. */
const DIGITS = 12
const PAGE = 1000

export class KnownTokens {
  readonly #tokens: Pick<TokenStore, 'hashes'>
  #known = new Set<number>()
  #isLoaded = false
  #loading: Promise<void> | undefined

  constructor(tokens: Pick<TokenStore, 'hashes'>) {
    this.#tokens = tokens
  }

  /** True also while the hashes are not read yet. */
  mayHave(sha256: string): boolean {
    if (!this.#isLoaded) {
      this.#loading ??= this.#load(this.#known).catch(() => {
        this.#loading = undefined
      })
      return true
    }
    return this.#known.has(shortened(sha256))
  }

  add(sha256: string): void {
    // Also before anything is read: it may be told of while the read is under way.
    this.#known.add(shortened(sha256))
  }

  forget(): void {
    this.#known = new Set()
    this.#isLoaded = false
    this.#loading = undefined
  }

  async #load(into: Set<number>): Promise<void> {
    let cursor: string | undefined
    do {
      const hashes = await this.#tokens.hashes(PAGE, cursor)
      for (const sha256 of hashes) into.add(shortened(sha256))
      cursor = hashes.length === PAGE ? hashes.at(-1) : undefined
    } while (cursor !== undefined)
    if (into === this.#known) this.#isLoaded = true
  }
}

function shortened(sha256: string): number {
  return Number.parseInt(sha256.slice(0, DIGITS), 16)
}
