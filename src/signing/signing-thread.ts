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

export class SigningThread {
  readonly #worker: Worker
  readonly #jobs: PromiseWithResolvers<string[]>[] = []
  #isReady = false

  /** @param onEnd called once, however it ends. @throws {Error} where the process may have no threads. */
  constructor(onEnd: (cause: Error) => void) {
    // Beside this file, as TypeScript or compiled.
    this.#worker = new Worker(new URL(`./signing-thread-entry${extname(import.meta.url)}`, import.meta.url), {
      name: 'signing',
    })
    let cause = new Error('the signing thread has ended')
    this.#worker
      .on('online', () => {
        this.#isReady = true
      })
      .on('message', (tokens: string[]) => this.#jobs.shift()?.resolve(tokens))
      .on('error', error => {
        cause = error as Error
      })
      .on('messageerror', error => {
        cause = error
        void this.#worker.terminate()
      })
      .on('exit', () => {
        this.#isReady = false
        for (const job of this.#jobs.splice(0)) job.reject(cause)
        onEnd(cause)
      })
    // It has nothing to do that a caller does not wait for.
    this.#worker.unref()
  }

  /** False while it starts, which nobody should wait for, and when it has ended. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Only while it is ready. @returns compact JWSs, in order. Rejects when the thread ends: nothing was signed then. */
  sign(job: SigningJob): Promise<string[]> {
    const signed = Promise.withResolvers<string[]>()
    this.#jobs.push(signed)
    this.#worker.postMessage(job)
    return signed.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
