/**
 * Publishing without HTTP, for a trusted service that holds the signing keys and sits next to Redis: the server's own use
 * case, with the same guarantees. Everybody else uses `setstream/producer`.
 */
import { readConfig } from './config.ts'
import { Appends } from './delivery/appends.ts'
import { limitsFrom, underPressure } from './delivery/limits.ts'
import { type Delivery, type Published, Publisher } from './delivery/publish.ts'
import { SetupError, TransmitterError } from './errors.ts'
import type { PublishEvent } from './protocol/event.ts'
import { openResources } from './resources.ts'
import { watchKeys } from './serve/key-watch.ts'
import { Startup } from './serve/readiness.ts'
import { openKeyRing } from './signing/key-ring.ts'
import { SetSigner } from './signing/sign-set.ts'
import { createLogger } from './telemetry/logger.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { openTracing, tracingOptions } from './telemetry/tracing.ts'

export { type Delivery, type PublishEvent, type Published, SetupError, TransmitterError }

export interface LocalPublisherOptions {
  /** Stable over restarts: it is part of every jti, so the same `id` from the same producer is the same SET. */
  readonly producer: string
  /** Configuration by the names of the server; REDIS_URL, KEYS_DIR and ISSUER are needed. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface LocalPublisher extends AsyncDisposable {
  /** @throws {TransmitterError} as the answers of `POST /v1/events`; `extra.deliveries` says what was taken. */
  publish(event: PublishEvent): Promise<Published>
  /** One outcome per event, in order. */
  publishBatch(events: readonly PublishEvent[]): Promise<readonly (Published | TransmitterError)[]>
  /** Once what was published before is answered. What is published from now on is refused. */
  close(): Promise<void>
}

/** @throws {SetupError} for configuration that is missing or wrong. */
export async function openPublisher({ producer, env = process.env }: LocalPublisherOptions): Promise<LocalPublisher> {
  const config = readConfig(env)
  if (config.REDIS_URL === undefined || config.KEYS_DIR === undefined) {
    throw new SetupError('A publisher in process needs REDIS_URL and KEYS_DIR: those of the transmitter.')
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(producer) || producer === 'admin') {
    throw new SetupError('producer: a name of letters, digits, dots, dashes and underscores, and not admin.')
  }
  const logger = createLogger(config.LOG_LEVEL)
  const opened = new AsyncDisposableStack()
  try {
    const keyRing = await openKeyRing({ dir: config.KEYS_DIR, alg: config.SIGNING_ALG, generate: false })
    const resources = await openResources(config, logger)
    opened.defer(() => resources.close())
    const { sets, registry, epoch, redis, keyStore } = resources
    const { requireConfirmable } = resources
    const schemaKey = resources.keys.schema
    const startup = new Startup({ redis, schemaKey, keyRing, keyStore, epoch, requireConfirmable, logger })
    opened.defer(() => startup.drain())
    await startup.begin()
    opened.defer(watchKeys({ keyRing, keyStore, registry, audit: resources.audit, logger }))
    const tracing = await openTracing(tracingOptions(config), logger)
    opened.defer(() => tracing?.close())
    const signer = new SetSigner({ onTrouble: err => logger.warn({ err }, 'the signing thread ended') })
    opened.defer(() => signer.close())
    const publisher = new Publisher(
      {
        appends: new Appends(sets),
        registry,
        keys: keyRing,
        signer,
        limitsOf: underPressure(limitsFrom(config), receiver => resources.memory.bytesMaxOf(receiver)),
        metrics: createMetrics({ heldPolls: () => 0 }),
        tracing,
        startup,
      },
      {
        issuer: config.ISSUER,
        setBytesMax: config.SET_BYTES_MAX,
        deliveriesPerCallMax: config.DELIVERIES_PER_CALL_MAX,
      },
    )
    const underWay = new Set<Promise<unknown>>()
    opened.defer(async () => void (await Promise.allSettled(underWay)))
    let closing: Promise<void> | undefined
    const close = () => (closing ??= opened.disposeAsync())
    const whileOpen = <Answer>(publish: () => Promise<Answer>): Promise<Answer> => {
      if (closing !== undefined) {
        return Promise.reject(new TransmitterError('store_unavailable', 'This publisher is closed.'))
      }
      const call = publish().finally(() => underWay.delete(call))
      underWay.add(call)
      return call
    }
    return {
      publish: event => whileOpen(() => publisher.publish(event, { name: producer })),
      publishBatch: events => whileOpen(() => publisher.publishAll(events, { name: producer })),
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}
