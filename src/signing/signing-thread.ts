/**
 * A thread that signs SETs on another core. It is given jobs through memory that it shares (shared-jobs.ts), so that it
 * may fall behind: what it has not begun is taken back. What is left to it is done when it says so, or when it has ended.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { headOf } from './set-header.ts'
import { type Job, JobOffers } from './shared-jobs.ts'
import type { ShortKey } from './short-signatures.ts'
import { keep, type ThreadKey } from './thread-keys.ts'

export interface SigningThreadEvents {
  /** Some of the jobs that send word are done. */
  onDone(): void
  /** Called once, however it ends. */
  onEnd(cause: Error): void
}

export class SigningThread {
  readonly #worker: Worker
  /** To wake it, and to collect what was offered or take it back. */
  readonly jobs = new JobOffers()
  /** Of the keys that were sent last. */
  readonly #ids = new Map<ShortKey, number>()
  #lastId = 0
  #isReady = false
  #isClosing = false

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
        if (word === 'ready') this.#isReady = !this.#isClosing
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
   * @param sendsWord `onDone` is called when it is done
   * @returns undefined where there is no room for it.
   */
  offer(key: ShortKey, payload: string, sendsWord: boolean): Job | undefined {
    const id = this.#ids.get(key) ?? this.#send(key)
    return id === undefined ? undefined : this.jobs.offer(id, payload, sendsWord)
  }

  #send(key: ShortKey): number | undefined {
    const id = ++this.#lastId
    try {
      this.#worker.postMessage({ id, alg: key.alg, key: key.key, head: headOf(key) } satisfies ThreadKey)
    } catch {
      // It cannot be sent, and this thread has it.
      return undefined
    }
    keep(this.#ids, key, id)
    // It reads what it was sent when it is awake.
    this.jobs.wake()
    return id
  }

  /** @param isOwed the process does not end meanwhile. */
  hold(isOwed: boolean): void {
    // Then its end is waited for, and its last word may come before.
    if (this.#isClosing) return
    if (isOwed) this.#worker.ref()
    else this.#worker.unref()
  }

  async close(): Promise<void> {
    this.#isReady = false
    this.#isClosing = true
    await this.#worker.terminate()
  }
}
