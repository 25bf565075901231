/** A thread that signs many SETs at a time, so that polls and publishing go on meanwhile, on another core. */
import type { KeyObject } from 'node:crypto'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ShortAlg } from './short-signatures.ts'

export interface SigningJob {
  readonly alg: ShortAlg
  /** The threads share it; nothing is copied. */
  readonly key: KeyObject
  /** The protected header, encoded. */
  readonly head: string
  readonly payloads: readonly string[]
}

export interface ThreadJob extends SigningJob {
  readonly id: number
}

/** The first, with the id 0, says that the thread is ready. */
export interface ThreadAnswer {
  readonly id: number
  readonly tokens: string[]
}

export class SigningThread {
  readonly #worker: Worker
  readonly #jobs = new Map<number, PromiseWithResolvers<string[]>>()
  #lastId = 0
  #isReady = false

  /** @param onEnd called once, however it ends. @throws {Error} where the process may have no threads. */
  constructor(onEnd: (cause: Error) => void) {
    // Beside this file, as TypeScript or compiled.
    this.#worker = new Worker(new URL(`./signing-thread-entry${extname(import.meta.url)}`, import.meta.url), {
      name: 'signing',
      // What a program loads ahead of everything is for its main thread, and so are the secrets in its environment.
      execArgv: [],
      env: {},
    })
    let cause = new Error('the signing thread has ended')
    this.#worker
      .on('message', (answer: ThreadAnswer) => this.#take(answer))
      .on('error', error => {
        cause = error as Error
      })
      .on('messageerror', error => {
        cause = error
        void this.#worker.terminate()
      })
      .on('exit', () => {
        this.#isReady = false
        const jobs = [...this.#jobs.values()]
        this.#jobs.clear()
        for (const job of jobs) job.reject(cause)
        onEnd(cause)
      })
    this.#worker.unref()
  }

  /** False while it starts, which nobody should wait for, and when it has ended. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Only while it is ready. @returns compact JWSs, in order. Rejects when the thread ends: nothing was signed then. */
  sign(job: SigningJob): Promise<string[]> {
    const id = ++this.#lastId
    this.#worker.postMessage({ ...job, id } satisfies ThreadJob)
    const signed = Promise.withResolvers<string[]>()
    this.#jobs.set(id, signed)
    // The process does not end while somebody waits for it, and does as soon as nobody does.
    if (this.#jobs.size === 1) this.#worker.ref()
    return signed.promise
  }

  async close(): Promise<void> {
    this.#isReady = false
    await this.#worker.terminate()
  }

  #take({ id, tokens }: ThreadAnswer): void {
    if (id === 0) this.#isReady = true
    this.#jobs.get(id)?.resolve(tokens)
    this.#jobs.delete(id)
    if (this.#jobs.size === 0) this.#worker.unref()
  }
}
