/**
 * Events on their way to the transmitter: bounded, sent in batches as requests become free, repeated until every
 * receiver took them.
 *
 * Two pauses are told apart. A receiver whose backlog is full holds back the events addressed to it, and no others.
 * A transmitter that does not answer, or refuses a request whole, holds back everything.
 */
import { type Backoff, backoffMs } from './backoff.ts'
import { type Answer, bearer, exchange, parseObject, reasonOf, type TokenSource } from './http.ts'
import { type Failure, readAnswer, readBatch, readFailure, type Verdict } from './publish-answer.ts'
import { type Delivery, PublishError, type Published } from './publish-error.ts'

export interface PublishQueueOptions {
  readonly url: string
  readonly token: TokenSource
  readonly fetch: typeof globalThis.fetch
  readonly queueMax: number
  readonly batchMax: number
  readonly batchBytesMax: number
  readonly concurrency: number
  readonly requestTimeoutMs: number
  readonly giveUpAfterMs: number
  readonly backoff: Backoff
}

/** An event until it is settled. */
interface Item {
  readonly id: string
  /** What is repeated is what was first sent, whatever happens to the caller's object. */
  readonly json: string
  readonly bytes: number
  readonly giveUpAtMs: number
  /** Receivers that took it, by what they said first: a later `duplicate` is our own doing. */
  readonly taken: Map<string, Delivery>
  readonly resolve: (published: Published) => void
  readonly reject: (error: unknown) => void
  attempts: number
  lastFailure: Failure | undefined
  request: Request | undefined
  timer: NodeJS.Timeout | undefined
  unlisten: (() => void) | undefined
}

interface Request {
  readonly items: readonly Item[]
  readonly controller: AbortController
}

/** A refused call also lists receivers that did not take the event, with other words. */
const TAKEN: ReadonlySet<string> = new Set(['queued', 'duplicate', 'disabled'])
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export class PublishQueue {
  readonly #options: PublishQueueOptions
  readonly #items = new Set<Item>()
  /** In order of arrival. */
  readonly #ready = new Set<Item>()
  #roomWaiters: (() => void)[] = []
  #requests = 0
  #pumpScheduled = false
  /** Set while the transmitter as a whole is given a pause; `#failures` in a row make it longer. */
  #pauseTimer: NodeJS.Timeout | undefined
  #failures = 0

  constructor(options: PublishQueueOptions) {
    this.#options = options
  }

  get outstanding(): number {
    return this.#items.size
  }

  get full(): boolean {
    return this.#items.size >= this.#options.queueMax
  }

  /** Resolves once something was settled. */
  async change(): Promise<void> {
    if (this.#items.size > 0) await new Promise<void>(resolve => this.#roomWaiters.push(resolve))
  }

  add(id: string, json: string, signal: AbortSignal | undefined): Promise<Published> {
    return new Promise((resolve, reject) => {
      const item: Item = {
        id,
        json,
        bytes: Buffer.byteLength(json),
        giveUpAtMs: performance.now() + this.#options.giveUpAfterMs,
        taken: new Map(),
        resolve,
        reject,
        attempts: 0,
        lastFailure: undefined,
        request: undefined,
        timer: undefined,
        unlisten: undefined,
      }
      if (signal !== undefined) {
        const onAbort = () => this.#drop(item, signal.reason)
        signal.addEventListener('abort', onAbort, { once: true })
        item.unlisten = () => signal.removeEventListener('abort', onAbort)
      }
      this.#items.add(item)
      this.#ready.add(item)
      this.#schedulePump()
    })
  }

  /** Gives up whatever is left. */
  dropAll(reason: unknown): void {
    for (const item of this.#items) this.#drop(item, reason)
  }

  #drop(item: Item, reason: unknown): void {
    this.#settle(item)
    item.reject(reason)
    // A request that also carries other events goes on.
    if (item.request?.items.every(other => !this.#items.has(other))) item.request.controller.abort(reason)
  }

  #settle(item: Item): void {
    clearTimeout(item.timer)
    item.unlisten?.()
    this.#ready.delete(item)
    this.#items.delete(item)
    if (this.#items.size === 0) this.#endPause() // Nothing is left that would wait for its end.
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const wake of waiters) wake()
  }

  /** Not before the current turn is over, so that events handed over together travel together. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    setImmediate(() => {
      this.#pumpScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#pauseTimer === undefined && this.#requests < this.#options.concurrency) {
      const items = this.#takeBatch()
      if (items.length === 0) return
      this.#requests++
      void this.#send(items).finally(() => {
        this.#requests--
        this.#pump()
      })
    }
  }

  #takeBatch(): Item[] {
    const items: Item[] = []
    let bytes = 0
    for (const item of this.#ready) {
      if (performance.now() >= item.giveUpAtMs) {
        this.#giveUp(item)
        continue
      }
      if (items.length > 0 && bytes + item.bytes > this.#options.batchBytesMax) break
      items.push(item)
      bytes += item.bytes
      this.#ready.delete(item)
      if (items.length >= this.#options.batchMax) break
    }
    return items
  }

  async #send(items: readonly Item[]): Promise<void> {
    const request: Request = { items, controller: new AbortController() }
    for (const item of items) {
      item.request = request
      item.attempts++
    }
    try {
      this.#receive(items, await this.#post(request))
    } catch (cause) {
      const failure = { message: reasonOf(cause), code: 'unreachable', status: undefined, cause }
      this.#failWhole(items, failure, undefined)
    }
  }

  async #post({ items, controller }: Request): Promise<Answer> {
    const [first] = items
    const alone = items.length === 1 && first !== undefined
    return exchange({
      method: 'POST',
      url: `${this.#options.url}/v1/events${alone ? '' : '/batch'}`,
      headers: { authorization: await bearer(this.#options.token), 'content-type': 'application/json' },
      body: alone ? first.json : `{"items":[${items.map(item => item.json).join(',')}]}`,
      timeoutMs: this.#options.requestTimeoutMs,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: controller.signal,
      fetch: this.#options.fetch,
    })
  }

  #receive(items: readonly Item[], answer: Answer): void {
    const body = parseObject(answer.text)
    const [first] = items
    if (items.length === 1 && first !== undefined) {
      const verdict = readAnswer(answer.status, body)
      if (verdict.kind === 'again' && verdict.deliveries === undefined) {
        this.#failWhole(items, verdict.failure, answer.retryAfterMs)
      } else {
        this.#failures = 0
        this.#judge(first, verdict, answer.retryAfterMs)
      }
      return
    }
    if (answer.status === 400 || answer.status === 413) {
      // One event may be what makes the batch unacceptable, or it is too much at once: halves tell.
      const middle = Math.ceil(items.length / 2)
      this.#sendNow(items.slice(0, middle))
      this.#sendNow(items.slice(middle))
      return
    }
    const verdicts = answer.status === 200 ? readBatch(answer.text, items.length) : undefined
    if (verdicts !== undefined) {
      this.#failures = 0
      for (const [i, item] of items.entries()) this.#judge(item, verdicts[i] as Verdict, answer.retryAfterMs)
      return
    }
    const verdict = readAnswer(answer.status, answer.status === 200 ? undefined : body)
    if (verdict.kind === 'refused') for (const item of items) this.#judge(item, verdict, undefined)
    else this.#failWhole(items, readFailure(answer.status, body), answer.retryAfterMs)
  }

  #sendNow(items: readonly Item[]): void {
    const open = items.filter(item => this.#items.has(item))
    if (open.length === 0) return
    this.#requests++
    void this.#send(open).finally(() => {
      this.#requests--
      this.#pump()
    })
  }

  #judge(item: Item, verdict: Verdict, retryAfterMs: number | undefined): void {
    if (!this.#items.has(item)) return // Given up meanwhile.
    const deliveries = verdict.deliveries?.map(delivery => {
      const before = delivery.status === 'duplicate' ? item.taken.get(delivery.receiver) : undefined
      return before ?? delivery
    })
    for (const delivery of deliveries ?? []) {
      if (TAKEN.has(delivery.status)) item.taken.set(delivery.receiver, delivery)
    }
    if (verdict.kind === 'taken') {
      this.#settle(item)
      item.resolve({ id: item.id, deliveries: deliveries ?? [] })
      return
    }
    item.lastFailure = verdict.failure
    if (verdict.kind === 'refused') {
      this.#settle(item)
      item.reject(errorOf(item, verdict.failure, verdict.failure.code, verdict.failure.message))
      return
    }
    this.#retryLater(item, retryAfterMs)
  }

  #retryLater(item: Item, retryAfterMs: number | undefined): void {
    const waitMs = Math.max(retryAfterMs ?? 0, backoffMs(item.attempts, this.#options.backoff))
    if (performance.now() + waitMs >= item.giveUpAtMs) {
      this.#giveUp(item)
      return
    }
    item.timer = setTimeout(() => {
      this.#ready.add(item)
      this.#schedulePump()
    }, waitMs)
  }

  /** Nothing says what became of these events: all of them wait, and so does everything behind them. */
  #failWhole(items: readonly Item[], failure: Failure, retryAfterMs: number | undefined): void {
    for (const item of items) {
      if (!this.#items.has(item)) continue
      item.lastFailure = failure
      this.#ready.add(item)
    }
    if (items.every(item => !this.#items.has(item))) return // Aborted by us: this says nothing about the transmitter.
    if (this.#pauseTimer !== undefined) return
    this.#failures++
    const waitMs = Math.max(retryAfterMs ?? 0, backoffMs(this.#failures, this.#options.backoff))
    this.#pauseTimer = setTimeout(() => {
      this.#endPause()
      this.#pump()
    }, waitMs)
  }

  #endPause(): void {
    clearTimeout(this.#pauseTimer)
    this.#pauseTimer = undefined
  }

  #giveUp(item: Item): void {
    const failure = item.lastFailure
    const seconds = Math.round(this.#options.giveUpAfterMs / 1000)
    this.#settle(item)
    item.reject(
      errorOf(
        item,
        failure,
        'gave_up',
        `not taken within ${seconds} s and ${item.attempts} attempts; last: ${failure?.message ?? 'none was sent'}`,
      ),
    )
  }
}

function errorOf(item: Item, failure: Failure | undefined, code: string, message: string): PublishError {
  return new PublishError(message, {
    id: item.id,
    code,
    status: failure?.status,
    faults: failure?.faults ?? [],
    deliveries: [...item.taken.values()],
    cause: failure?.cause,
  })
}
