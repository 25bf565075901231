/**
 * How many polls are held for a receiver, over all processes: this one's from memory, the others' as they said within the
 * last second. A process speaks only while it holds polls, and then of what changed.
 */
import type { HeldCounts } from '../store/held-counts.ts'
import type { HeldPolls } from './held-polls.ts'

const EVERY_MS = 1000
/** What nothing changes about is said again this often, and forgotten after three times that. */
const AGAIN_MS = 5000
const LASTS_MS = 3 * AGAIN_MS

export class HeldEverywhere {
  readonly #heldPolls: Pick<HeldPolls, 'countOf' | 'counts'>
  readonly #store: HeldCounts
  readonly #process: string
  #said: ReadonlyMap<string, number> = new Map()
  #saidAtMs = 0
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()
  #isStopped = false

  /** @param process a name that no other process has, nor this one after a restart. */
  constructor(heldPolls: Pick<HeldPolls, 'countOf' | 'counts'>, store: HeldCounts, process: string) {
    this.#heldPolls = heldPolls
    this.#store = store
    this.#process = process
  }

  /** For a process that holds polls. */
  start(): void {
    const tick = () => {
      this.#working = this.#say()
        .catch(() => {}) // What was not said is said next time.
        .finally(() => {
          if (!this.#isStopped) this.#timer = setTimeout(tick, EVERY_MS).unref()
        })
    }
    this.#timer = setTimeout(tick, EVERY_MS).unref()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#working
    if (this.#said.size > 0) await this.#store.forget(this.#process).catch(() => {})
  }

  async countOf(receiver: string): Promise<number> {
    return this.#heldPolls.countOf(receiver) + (await this.#store.ofOthers(receiver, this.#process))
  }

  /** Receivers for which none is held may be missing. */
  async all(): Promise<ReadonlyMap<string, number>> {
    const sums = await this.#store.allOfOthers(this.#process)
    for (const [receiver, count] of this.#heldPolls.counts()) sums.set(receiver, (sums.get(receiver) ?? 0) + count)
    return sums
  }

  async #say(): Promise<void> {
    const held = this.#heldPolls.counts()
    const changes = new Map<string, number>()
    for (const [receiver, count] of held) if (this.#said.get(receiver) !== count) changes.set(receiver, count)
    for (const receiver of this.#said.keys()) if (!held.has(receiver)) changes.set(receiver, 0)
    const nowMs = performance.now()
    if (changes.size === 0 && (held.size === 0 || nowMs - this.#saidAtMs < AGAIN_MS)) return
    // Perhaps forgotten meanwhile, as when Redis was away: then everything is news.
    const isDoubtful = nowMs - this.#saidAtMs > LASTS_MS / 2
    await this.#store.report(this.#process, isDoubtful ? new Map([...changes, ...held]) : changes, LASTS_MS)
    this.#said = held
    this.#saidAtMs = nowMs
  }
}
