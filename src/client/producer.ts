/**
 * The producer's side: publishes events to the transmitter's internal listener over HTTP.
 *
 * Every event is sent with an `id`, and its text is fixed when it is handed over, so that repeating a call whose outcome
 * is unknown queues nothing twice; a publish that only some receivers took is completed by repeating it. Events handed
 * over while requests are on their way travel together in the next one.
 */
import { randomUUID } from 'node:crypto'
import type { Backoff } from './backoff.ts'
import { checkUrl, count } from './checks.ts'
import type { SecurityEvent } from './event-types.ts'
import type { TokenSource } from './http.ts'
import { type Outcome, PublishError, type Published } from './publish-error.ts'
import { PublishQueue } from './publish-queue.ts'

export * from './event-types.ts'
export type { TokenSource } from './http.ts'
export * from './publish-error.ts'

export interface ProducerOptions {
  /** Base URL of the internal listener, such as `https://setstream.internal:8081`. */
  readonly url: string
  /** A token of scope `publish`. */
  readonly token: TokenSource
  /** Events handed over and not settled; over it, `publish` fails with `queue_full`. Default 10 000. */
  readonly queueMax?: number
  /** Events a request, at most 1 000. Default 100. */
  readonly batchMax?: number
  /** Bytes of events a request, below the transmitter's `PUBLISH_BODY_BYTES_MAX`. Default 4 MiB. */
  readonly batchBytesMax?: number
  /** Requests at a time. Default 4; with 1, events arrive in the order they were handed over unless one is repeated. */
  readonly concurrency?: number
  /** Deadline of one request. Default 30 s. */
  readonly requestTimeoutMs?: number
  /**
   * How long an event is tried. Default 5 minutes. Keep it well below the transmitter's `DEDUPE_WINDOW_MS` (10 minutes):
   * after that nobody remembers that an earlier attempt had succeeded.
   */
  readonly giveUpAfterMs?: number
  /** Between attempts, unless the transmitter asks for longer. Default 100 ms, doubling up to 10 s. */
  readonly backoff?: Backoff
  /** Plain HTTP to another machine: token and events can be read on the way. */
  readonly allowPlainHttp?: boolean
  /** Another `fetch`, for instance one with a client certificate. */
  readonly fetch?: typeof globalThis.fetch
}

export interface PublishOptions {
  /** Stops waiting. An event that is on its way may have been taken all the same. */
  readonly signal?: AbortSignal
}

export interface Producer {
  /**
   * @returns once every addressed receiver took the event.
   * @throws {PublishError} when it is refused, or was tried for too long; or the signal's reason.
   */
  publish(event: SecurityEvent, options?: PublishOptions): Promise<Published>
  /** Publishes many, with back-pressure. One outcome for each, in order; rejects only for the signal. */
  publishBatch(events: Iterable<SecurityEvent>, options?: PublishOptions): Promise<Outcome[]>
  /** The same for a source of any length: reads on only as there is room, and gives outcomes in order. */
  publishAll(
    events: Iterable<SecurityEvent> | AsyncIterable<SecurityEvent>,
    options?: PublishOptions,
  ): AsyncGenerator<Outcome, void, undefined>
  /** Events handed over and not settled. */
  readonly outstanding: number
  /** Resolves once `publish` has room for another event. */
  whenRoom(): Promise<void>
  /** Takes no more events and waits for the rest; when the signal aborts, the rest is given up. */
  close(options?: { readonly signal?: AbortSignal }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** @throws {TypeError} for options that cannot work. */
export function createProducer(options: ProducerOptions): Producer {
  return new HttpProducer(options)
}

class HttpProducer implements Producer {
  readonly #queue: PublishQueue
  readonly #windowMax: number
  #closed = false

  constructor(options: ProducerOptions) {
    const batchMax = count('batchMax', options.batchMax ?? 100, 1000)
    const concurrency = count('concurrency', options.concurrency ?? 4)
    const queueMax = count('queueMax', options.queueMax ?? 10_000)
    this.#windowMax = Math.min(queueMax, 2 * batchMax * concurrency)
    this.#queue = new PublishQueue({
      url: checkUrl('url', options.url, options.allowPlainHttp === true).href.replace(/\/+$/, ''),
      token: options.token,
      fetch: options.fetch ?? globalThis.fetch,
      queueMax,
      batchMax,
      batchBytesMax: count('batchBytesMax', options.batchBytesMax ?? 4 * 1024 * 1024),
      concurrency,
      requestTimeoutMs: count('requestTimeoutMs', options.requestTimeoutMs ?? 30_000),
      giveUpAfterMs: count('giveUpAfterMs', options.giveUpAfterMs ?? 300_000),
      backoff: options.backoff ?? { baseMs: 100, capMs: 10_000 },
    })
  }

  get outstanding(): number {
    return this.#queue.outstanding
  }

  async publish(event: SecurityEvent, { signal }: PublishOptions = {}): Promise<Published> {
    signal?.throwIfAborted()
    const id = event.id ?? randomUUID()
    if (this.#closed) throw new PublishError('the producer is closed', { id, code: 'closed' })
    if (this.#queue.full) {
      throw new PublishError('too many events are waiting: await whenRoom() first', { id, code: 'queue_full' })
    }
    return this.#queue.add(id, toJson(event, id), signal)
  }

  async publishBatch(events: Iterable<SecurityEvent>, options: PublishOptions = {}): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    for await (const outcome of this.publishAll(events, options)) outcomes.push(outcome)
    return outcomes
  }

  async *publishAll(
    events: Iterable<SecurityEvent> | AsyncIterable<SecurityEvent>,
    options: PublishOptions = {},
  ): AsyncGenerator<Outcome, void, undefined> {
    const source = iterate(events)
    /** Oldest first: outcomes are given in the order of the events. */
    const window: Promise<Outcome>[] = []
    let reading: Promise<IteratorResult<SecurityEvent>> | undefined
    let ended = false
    let sourceFailure: { readonly error: unknown } | undefined
    try {
      while (!ended || window.length > 0) {
        const [oldest] = window
        if (oldest !== undefined && (ended || window.length >= this.#windowMax)) {
          window.shift()
          yield await oldest
          continue
        }
        // A source that fails ends; what it gave before is seen through first.
        reading ??= Promise.resolve()
          .then(() => source.next())
          .catch(error => {
            sourceFailure = { error }
            return { done: true, value: undefined }
          })
        // A slow source must not keep back the outcomes of what it gave already.
        const next = await Promise.race([reading, ...(oldest === undefined ? [] : [oldest.then(() => undefined)])])
        if (next === undefined) {
          window.shift()
          yield await (oldest as Promise<Outcome>)
          continue
        }
        reading = undefined
        if (next.done === true) {
          ended = true
          continue
        }
        await this.whenRoom()
        const outcome = this.#outcome(next.value, options)
        outcome.catch(() => undefined) // Thrown where it is awaited; not a second time when the reader has left.
        window.push(outcome)
      }
      if (sourceFailure !== undefined) throw sourceFailure.error
    } finally {
      if (!ended) void Promise.resolve(source.return?.()).catch(() => undefined)
    }
  }

  async #outcome(event: SecurityEvent, options: PublishOptions): Promise<Outcome> {
    try {
      return { ok: true, published: await this.publish(event, options) }
    } catch (error) {
      if (error instanceof PublishError) return { ok: false, error }
      throw error
    }
  }

  async whenRoom(): Promise<void> {
    while (this.#queue.full) await this.#queue.change()
  }

  async close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#closed = true
    const giveUp = () => this.#queue.dropAll(signal?.reason)
    if (signal?.aborted) giveUp()
    signal?.addEventListener('abort', giveUp, { once: true })
    while (this.#queue.outstanding > 0) await this.#queue.change()
    signal?.removeEventListener('abort', giveUp)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function toJson(event: SecurityEvent, id: string): string {
  try {
    return JSON.stringify({ ...event, id })
  } catch (cause) {
    throw new PublishError('the event cannot be written as JSON', { id, code: 'bad_event', cause })
  }
}

function iterate<T>(source: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}
