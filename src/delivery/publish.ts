/**
 * Publishing: an event becomes one SET per receiver, signed once, appended to that receiver's log.
 *
 * Each receiver's log is appended to by itself, so a call can be taken in part; what was queued stays queued, and the same call
 * made again completes it, because the jti of a delivery follows from producer, id and receiver.
 */
import { randomBytes } from 'node:crypto'
import { type Fault, TransmitterError } from '../errors.ts'
import { type PublishEvent, validateEvent } from '../protocol/event.ts'
import { ClaimsText, deriveJti, deriveTxn } from '../protocol/set.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import { MANY_SETS, type SetSigner } from '../signing/sign-set.ts'
import type { Receiver } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { AppendResult, NewSet } from '../store/set-store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { APPEND_BYTES_MAX, APPEND_COUNT_MAX, type Appends } from './appends.ts'
import type { LimitsOf } from './limits.ts'

/** Who publishes, and what its credential limits it to. */
export interface Producer {
  readonly name: string
  readonly receivers?: readonly string[] | undefined
  readonly eventTypes?: readonly string[] | undefined
}

export interface Delivery {
  readonly receiver: string
  readonly jti: string
  /** `full` and `unavailable` come only beside a 429 or 503, `conflict` only beside a 409. */
  readonly status: 'queued' | 'duplicate' | 'disabled' | 'full' | 'unavailable' | 'conflict'
}

export interface Published {
  readonly id: string
  readonly deliveries: readonly Delivery[]
}

export interface PublishOptions {
  readonly issuer: string
  readonly setBytesMax: number
  readonly deliveriesPerCallMax: number
}

export interface PublishDependencies {
  readonly appends: Appends
  readonly registry: Registry
  readonly keys: KeyRing
  readonly signer: SetSigner
  readonly limitsOf: LimitsOf
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  /** Refuses until the public keys are published: no receiver could verify what was signed before. */
  readonly startup: { requireDone(): void }
}

/** Made and given to be signed at a time. While they are signed, the next are made, and others get their turn. */
const MADE_A_TURN = 50

interface Planned {
  readonly item: Item
  readonly receiver: Receiver
  readonly jti: string
  /** Undefined until it is signed, and where it is too large for that. */
  set: NewSet | undefined
  result: AppendResult | 'unavailable' | undefined
  failure?: unknown
}

type Outcome<Value> = Value | TransmitterError
type Addressed = Outcome<readonly Receiver[]>
type Signed = Planned & { readonly set: NewSet }

interface Item {
  readonly event: PublishEvent
  readonly id: string
  readonly isIdGiven: boolean
  readonly deliveries: Planned[]
  /** A SET of it is longer than one may be. Then none of them is appended. */
  isTooLarge: boolean
}

export class Publisher {
  readonly #deps: PublishDependencies
  readonly #options: PublishOptions

  constructor(deps: PublishDependencies, options: PublishOptions) {
    this.#deps = deps
    this.#options = options
  }

  /**
   * @param traceparent of the producer's own trace.
   * @throws {TransmitterError} bad_request, forbidden, too_large (nothing applied), conflict, backlog_full, store_unavailable
   */
  async publish(event: unknown, producer: Producer, traceparent?: string): Promise<Published> {
    const [outcome] = await this.publishAll([event], producer, traceparent)
    if (outcome instanceof TransmitterError) throw outcome
    return outcome as Published
  }

  /** @returns one outcome per event, in order; each stands for itself. @throws {TransmitterError} too_large for the whole call */
  async publishAll(
    events: readonly unknown[],
    producer: Producer,
    traceparent?: string,
  ): Promise<(Published | TransmitterError)[]> {
    this.#deps.startup.requireDone()
    const { registry, tracing } = this.#deps
    const startedAtMs = Date.now()
    const revisionBefore = registry.revision
    const items: (Item | TransmitterError)[] = []
    for (const event of events) {
      const item = this.#plan(event, producer)
      items.push(item instanceof Promise ? await item : item)
    }
    const open = items.filter((item): item is Item => !(item instanceof TransmitterError))
    if (open.length === 0) return items as TransmitterError[]
    const planned: Planned[] = []
    for (const { deliveries } of open) for (const each of deliveries) planned.push(each)
    if (planned.length > this.#options.deliveriesPerCallMax) {
      throw new TransmitterError(
        'too_large',
        `One call makes ${this.#options.deliveriesPerCallMax} deliveries at the most.`,
      )
    }
    await (planned.length === 1 ? this.#sign(planned[0]!, producer, false) : this.#signAll(planned, producer))
    const appended = this.#append(planned)
    // The epoch is read beside the appends: a receiver whose 201 was answered before this call is found by one of the two.
    // Another call may have read the change meanwhile, hence the revision. Events that name their receivers miss none.
    const mayMiss = open.some(({ event }) => event.receivers === undefined)
    const unread = mayMiss ? await registry.catchUp().then(() => undefined, asOutcome) : undefined
    await appended
    if (registry.revision !== revisionBefore) {
      await this.#appendMissed(
        open.filter(item => !item.isTooLarge),
        producer,
      )
    }
    const outcomes = items.map(item => {
      if (item instanceof TransmitterError) return item
      if (item.isTooLarge) return tooLargeSet(this.#options.setBytesMax)
      return this.#outcome(item, item.event.receivers === undefined ? unread : undefined)
    })
    for (const outcome of outcomes) {
      if (outcome instanceof TransmitterError) this.#deps.metrics.refusedEvents.inc({ code: outcome.code })
    }
    tracing?.published(
      open.flatMap(({ event, id, deliveries }) => {
        const txn = event.txn ?? deriveTxn(producer.name, id)
        return deliveries.flatMap(({ receiver, jti, result }) =>
          result === 'queued' ? [{ receiver: receiver.id, jti, txn }] : [],
        )
      }),
      startedAtMs,
      traceparent,
    )
    return outcomes
  }

  /** At once, where the registry knows the receivers: a promise for each event shows in what publishing costs. */
  #plan(event: unknown, producer: Producer): Outcome<Item> | Promise<Outcome<Item>> {
    const faults = validateEvent(event)
    if (faults.length > 0) return new TransmitterError('bad_request', 'The event is not valid.', { faults })
    const valid = event as PublishEvent
    const types = Object.keys(valid.events)
    if (producer.eventTypes !== undefined && !types.every(type => producer.eventTypes?.includes(type))) {
      return new TransmitterError('forbidden', 'This credential may not publish events of this type.')
    }
    const addressed = this.#addressed(valid, producer)
    return addressed instanceof Promise
      ? addressed.then(receivers => this.#itemOf(valid, receivers, producer), asOutcome)
      : this.#itemOf(valid, addressed, producer)
  }

  #itemOf(event: PublishEvent, receivers: Outcome<readonly Receiver[]>, producer: Producer): Outcome<Item> {
    if (receivers instanceof TransmitterError) return receivers
    const item: Item = {
      event,
      id: event.id ?? randomBytes(16).toString('base64url'),
      isIdGiven: event.id !== undefined,
      deliveries: [],
      isTooLarge: false,
    }
    for (const receiver of receivers) this.#address(item, receiver, producer)
    if (item.deliveries.length === 0) this.#deps.metrics.unrouted.inc()
    return item
  }

  #addressed(event: PublishEvent, producer: Producer): Addressed | Promise<Addressed> {
    const { registry } = this.#deps
    if (event.receivers === undefined) {
      const types = Object.keys(event.events)
      const known = registry.knownSubscribers(types)
      return known === undefined
        ? registry.subscribers(types).then(receivers => allowed(producer, receivers))
        : allowed(producer, known)
    }
    const found = event.receivers.map(id =>
      isAllowed(producer, id) ? (registry.knownReceiver(id) ?? registry.receiver(id)) : undefined,
    )
    return found.some(each => each instanceof Promise)
      ? Promise.all(found).then(named)
      : named(found as (Receiver | undefined)[])
  }

  #address(item: Item, receiver: Receiver, producer: Producer): Planned {
    const jti = deriveJti(producer.name, item.id, receiver.id)
    const planned: Planned = { item, receiver, jti, set: undefined, result: undefined }
    item.deliveries.push(planned)
    return planned
  }

  async #signAll(all: readonly Planned[], producer: Producer): Promise<void> {
    const isAmongMany = all.length >= MANY_SETS
    const parts: Promise<unknown>[] = []
    for (let from = 0; from < all.length; from += MADE_A_TURN) {
      const made = all.slice(from, from + MADE_A_TURN).map(planned => this.#sign(planned, producer, isAmongMany))
      const part = Promise.all(made)
      // What fails is told at the end; until then nobody listens to it.
      part.catch(() => undefined)
      const before = parts.at(-1)
      if (before !== undefined) await Promise.allSettled([before])
      parts.push(part)
    }
    for (const part of parts) await part
  }

  async #sign(planned: Planned, producer: Producer, isAmongMany: boolean): Promise<void> {
    const { item, receiver, jti } = planned
    if (item.isTooLarge) return
    const { keys, signer, limitsOf } = this.#deps
    const { signingAlg, toeRoundMs } = limitsOf(receiver)
    const claims = new ClaimsText({
      issuer: this.#options.issuer,
      audience: receiver.audience,
      jti,
      iatSeconds: Math.floor(Date.now() / 1000),
      event: item.event,
      txn: item.event.txn ?? deriveTxn(producer.name, item.id),
      toeRoundMs,
    })
    const { payload } = claims
    // A JWS is longer than its payload in base64url. What cannot fit is not signed, for many receivers least of all.
    if (Math.ceil((Buffer.byteLength(payload) * 4) / 3) > this.#options.setBytesMax) {
      item.isTooLarge = true
      return
    }
    const key = keys.signingKey(signingAlg)
    const signing = isAmongMany ? signer.signAmongMany(key, payload) : signer.sign(key, payload)
    // Meanwhile. Nobody can repeat an id that was made up, so nothing of it needs to be compared later.
    const digest = item.isIdGiven ? claims.digest() : ''
    const set = await signing
    if (set.length > this.#options.setBytesMax) item.isTooLarge = true
    planned.set = { jti, set, digest, repeatable: item.isIdGiven }
  }

  /** Nothing of an item that is too large. Per receiver in the order in which they are given; receivers beside each other. */
  #append(planned: readonly Planned[]): Promise<unknown> {
    const signed = planned.filter((each): each is Signed => each.set !== undefined && !each.item.isTooLarge)
    if (signed.length === 1) return this.#appendRun(signed)
    const byReceiver = Map.groupBy(signed, ({ receiver }) => receiver.id)
    return Promise.all([...byReceiver.values()].map(run => this.#appendRun(run)))
  }

  async #appendRun(run: readonly Signed[]): Promise<void> {
    const { appends, limitsOf, metrics } = this.#deps
    for (let from = 0; from < run.length; ) {
      let to = from
      for (let bytes = 0; to < run.length && to - from < APPEND_COUNT_MAX; to++) {
        bytes += run[to]!.set.set.length
        if (bytes > APPEND_BYTES_MAX && to > from) break
      }
      const part = run.slice(from, to)
      const { receiver } = part[0]!
      try {
        const results = await appends.append(
          receiver.id,
          part.map(({ set }) => set),
          limitsOf(receiver),
        )
        let queued = 0
        for (const [i, result] of results.entries()) {
          part[i]!.result = result
          if (result === 'queued') queued += 1
        }
        if (queued > 0) metrics.published.inc(queued)
      } catch (failure) {
        // The others go on: one receiver's shard that is away must not hold up the rest.
        for (const planned of run.slice(from)) {
          planned.result = 'unavailable'
          planned.failure = failure
        }
        return
      }
      from = to
    }
  }

  async #appendMissed(items: readonly Item[], producer: Producer): Promise<void> {
    const missed: Planned[] = []
    for (const item of items) {
      if (item.event.receivers !== undefined) continue
      const known = new Set(item.deliveries.map(({ receiver }) => receiver.id))
      for (const receiver of await this.#deps.registry.subscribers(Object.keys(item.event.events))) {
        const isMissed = !known.has(receiver.id) && isAllowed(producer, receiver.id)
        if (isMissed) missed.push(this.#address(item, receiver, producer))
      }
    }
    await this.#signAll(missed, producer)
    await this.#append(missed)
  }

  /** @param unread why it is not known whether there are further receivers. */
  #outcome(item: Item, unread: TransmitterError | undefined): Published | TransmitterError {
    // A receiver that was deleted meanwhile is no longer addressed.
    const taken = item.deliveries.filter(({ result }) => result !== 'unknown' && result !== undefined)
    const deliveries: Delivery[] = taken.map(({ receiver, jti, result }) => ({
      receiver: receiver.id,
      jti,
      status: result as Delivery['status'],
    }))
    const extra = { id: item.id, deliveries }
    const has = (status: Delivery['status']) => deliveries.some(delivery => delivery.status === status)
    if (has('unavailable') || unread !== undefined) {
      const cause = taken.find(({ failure }) => failure !== undefined)?.failure ?? unread
      if (!(cause instanceof TransmitterError) || cause.code === 'internal') {
        return new TransmitterError('internal', 'The log of a receiver cannot be used as it is.', { extra, cause })
      }
      return new TransmitterError(
        'store_unavailable',
        'Not every receiver’s log could be reached. Repeat the call with the same id.',
        {
          retryAfterSeconds: 1,
          extra,
          cause,
        },
      )
    }
    if (has('conflict')) {
      return new TransmitterError('conflict', 'Another event was published under this id.', { extra })
    }
    if (has('full')) {
      return new TransmitterError(
        'backlog_full',
        'A receiver’s backlog is full. Repeat the call later with the same id.',
        {
          retryAfterSeconds: 5,
          extra,
        },
      )
    }
    return extra
  }
}

export function tooLargeSet(bytesMax: number): TransmitterError {
  return new TransmitterError('too_large', `A SET has ${bytesMax} bytes at the most.`)
}

function isAllowed(producer: Producer, receiver: string): boolean {
  return producer.receivers === undefined || producer.receivers.includes(receiver)
}

function allowed(producer: Producer, receivers: readonly Receiver[]): readonly Receiver[] {
  return receivers.filter(({ id }) => isAllowed(producer, id))
}

/** @param found in the order in which an event names them. */
function named(found: readonly (Receiver | undefined)[]): Addressed {
  const faults: Fault[] = []
  for (const [i, receiver] of found.entries()) {
    if (receiver === undefined) faults.push({ at: `/receivers/${i}`, message: 'is not a receiver' })
  }
  if (faults.length > 0) return new TransmitterError('bad_request', 'The event names an unknown receiver.', { faults })
  return found as readonly Receiver[]
}

function asOutcome(error: unknown): TransmitterError {
  if (error instanceof TransmitterError) return error
  throw error
}
