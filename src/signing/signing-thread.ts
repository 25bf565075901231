/**
 * A thread that signs SETs on another core. It is given jobs through memory that it shares (shared-jobs.ts), and may fall
 * behind or end: what it has not begun is taken back, and nobody has to wait for it.
 */
import type { KeyObject } from 'node:crypto'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { headOf } from './set-header.ts'
import { type Job, JobOffers } from './shared-jobs.ts'
import type { ShortAlg, ShortKey } from './short-signatures.ts'

/** More than sign at a time. The others are forgotten, here and there, so that none outlives its retirement for long. */
export const KEYS_MAX = 8
/** The thread sends word of what is awaited after so many, and when there is no more. */
export const WORD_AFTER = 50

export interface ThreadKey {
  readonly id: number
  readonly alg: ShortAlg
  /** The threads share it; nothing is copied. */
  readonly key: KeyObject
  /** The protected header, encoded. */
  readonly head: string
}

export interface SigningThreadEvents {
  /** Some of what is awaited is done. */
  onDone(): void
  /** Called once, however it ends. */
  onEnd(cause: Error): void
}

export class SigningThread {
  readonly #worker: Worker
  /** To collect what was offered, or take it back. */
  readonly jobs = new JobOffers()
  /** Of the keys that were sent last. */
  readonly #ids = new Map<ShortKey, number>()
  #lastId = 0
  #isReady = false

  /** @throws {Error} where the process may have no threads. */
  constructor({ onDone, onEnd }: SigningThreadEvents) {
    // Beside this file, as TypeScript or compiled.
    this.#worker = new Worker(new URL(`./signing-thread-entry${extname(import.meta.url)}`, import.meta.url), {
      name: 'signing',
      workerData: this.jobs.memory,
      // What a program loads ahead of everything is for its main thread, and so are the secrets in its environment.
      execArgv: [],
      env: {},
    })
    let cause = new Error('the signing thread has ended')
    this.#worker
      .on('message', (word: 'ready' | 'done') => {
        if (word === 'ready') this.#isReady = true
        else onDone()
      })
      .on('error', error => {
        cause = error as Error
      })
      .on('exit', () => {
        this.#isReady = false
        onEnd(cause)
      })
    this.#worker.unref()
  }

  /** False while it starts, which nobody should wait for, and when it has ended. */
  get isReady(): boolean {
    return this.#isReady
  }

  /**
   * Only while it is ready. It may sleep on: `jobs.wake` says when to look.
   * @param isAwaited `onDone` is called when it is done
   * @returns undefined where there is no room for it.
   */
  offer(key: ShortKey, payload: string, isAwaited: boolean): Job | undefined {
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = ++this.#lastId
      this.#worker.postMessage({ id, alg: key.alg, key: key.key, head: headOf(key) } satisfies ThreadKey)
      keep(this.#ids, key, id)
    }
    return this.jobs.offer(id, payload, isAwaited)
  }

  /** @param isAwaited the process does not end meanwhile. */
  hold(isAwaited: boolean): void {
    if (isAwaited) this.#worker.ref()
    else this.#worker.unref()
  }

  async close(): Promise<void> {
    this.#isReady = false
    await this.#worker.terminate()
  }
}

/** Adds to what is kept of keys, the newest `KEYS_MAX` of them. */
export function keep<Key, Value>(kept: Map<Key, Value>, key: Key, value: Value): void {
  kept.set(key, value)
  if (kept.size <= KEYS_MAX) return
  for (const [oldest] of kept) {
    kept.delete(oldest)
    return
  }
}
