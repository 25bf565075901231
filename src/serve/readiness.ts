/**
 * What has to be so once before a process is ready: Redis was reached, its data is of a version we know, and our public
 * keys are published, so that no SET is signed with a key that receivers cannot find. Redis being away only delays it.
 */
import { SetupError, TransmitterError } from '../errors.ts'
import type { Readiness } from '../http/routes/health.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import type { Client } from '../store/connection.ts'
import type { Epoch } from '../store/epoch.ts'
import { storeFailure } from '../store/failures.ts'
import type { KeyStore } from '../store/key-store.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Rises when data is written that an older version would misread. */
const SCHEMA = 1
const RETRY_MS = 500

export interface StartupDependencies {
  readonly redis: Client
  readonly schemaKey: string
  readonly keyRing: KeyRing | undefined
  readonly keyStore: KeyStore
  readonly epoch: Epoch
  /** @throws {SetupError} where Redis cannot keep what CONFIRM promises. */
  requireConfirmable(): Promise<void>
  readonly logger: Logger
}

export class Startup implements Readiness {
  readonly #deps: StartupDependencies
  #isDone = false
  #isDraining = false
  #timer: NodeJS.Timeout | undefined

  constructor(deps: StartupDependencies) {
    this.#deps = deps
  }

  isReady(): boolean {
    return this.#isDone && !this.#isDraining
  }

  /** @throws {TransmitterError} store_unavailable until the public keys are published. */
  requireDone(): void {
    if (!this.#isDone)
      throw new TransmitterError('store_unavailable', 'The process is starting.', { retryAfterSeconds: 1 })
  }

  /**
   * Tries once; then goes on trying in the background.
   * @throws {SetupError} when the data in Redis is of a newer version, or Redis cannot keep what CONFIRM promises.
   */
  async begin(): Promise<void> {
    try {
      await this.#prepare()
      this.#isDone = true
    } catch (error) {
      if (!(error instanceof TransmitterError)) throw error
      this.#deps.logger.warn({ err: error.cause ?? error }, 'Redis is not reached yet')
      this.#timer = setTimeout(() => void this.#retry(), RETRY_MS).unref()
    }
  }

  drain(): void {
    this.#isDraining = true
    clearTimeout(this.#timer)
  }

  async #retry(): Promise<void> {
    try {
      await this.#prepare()
      this.#isDone = true
      this.#deps.logger.info('Redis is reached')
    } catch (error) {
      if (error instanceof SetupError) this.#deps.logger.fatal({ err: error }, error.message)
      if (!this.#isDraining) this.#timer = setTimeout(() => void this.#retry(), RETRY_MS).unref()
    }
  }

  async #prepare(): Promise<void> {
    const { redis, schemaKey, keyRing, keyStore, epoch } = this.#deps
    await this.#deps.requireConfirmable()
    await redis.set(schemaKey, SCHEMA, 'NX').catch(storeFailure)
    const schema = Number(await redis.get(schemaKey).catch(storeFailure))
    if (!(schema <= SCHEMA)) {
      throw new SetupError(
        `The data in Redis is of version ${schema}, this program knows ${SCHEMA}: run a newer release.`,
      )
    }
    if (keyRing !== undefined && (await keyStore.publish(keyRing.publicKeys())) > 0) {
      await epoch.tell({ kind: 'keys', id: '' })
    }
  }
}
