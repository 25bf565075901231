/**
 * Tells held polls that something arrived for their receiver, whichever process appended it. One subscriber connection a
 * process (one a shard in Cluster, sharded pub/sub), subscribed to the receivers with held polls here and, for a while, to
 * those that had some, so that a receiver that polls again at once costs no subscription.
 */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

const LINGER_MS = 10_000
const SWEEP_EVERY_MS = 5000

interface Channel {
  holders: number
  /** Settled once Redis confirmed the subscription. */
  confirmed: Promise<unknown>
  isConfirmed: boolean
  idleSinceMs: number
  /** Rises with each notification, so that one between an empty poll and its registration is noticed. */
  notifications: number
}

export class Arrivals {
  readonly #redis: Client
  readonly #keys: Keys
  readonly #channels = new Map<string, Channel>()
  readonly #onArrival: (receiver: string) => void
  readonly #onResubscribed: (receivers: readonly string[]) => void
  readonly #timer: NodeJS.Timeout

  /**
   * @param onArrival called for each notification.
   * @param onResubscribed called after a lost connection is back and its subscriptions are confirmed: what arrived
   *   meanwhile was not told.
   */
  constructor(
    redis: Client,
    keys: Keys,
    listeners: { onArrival(receiver: string): void; onResubscribed(receivers: readonly string[]): void },
  ) {
    this.#redis = redis
    this.#keys = keys
    this.#onArrival = listeners.onArrival
    this.#onResubscribed = listeners.onResubscribed
    redis.on('smessage', (channel: string) => this.#arrived(keys.receiverOfWake(channel)))
    redis.on('ready', () => void this.#resubscribe())
    redis.on('close', () => {
      for (const channel of this.#channels.values()) channel.isConfirmed = false
    })
    this.#timer = setInterval(() => this.#leaveIdle(), SWEEP_EVERY_MS).unref()
  }

  /** A number that is the same later if and only if the subscription stood all the time and nothing arrived; else undefined. */
  mark(receiver: string): number | undefined {
    const channel = this.#channels.get(receiver)
    return channel?.isConfirmed ? channel.notifications : undefined
  }

  /** Whether Redis has confirmed the subscription and the connection stands. */
  isListening(receiver: string): boolean {
    return this.#channels.get(receiver)?.isConfirmed === true
  }

  /** @throws {TransmitterError} store_unavailable; the hold is released then. */
  async hold(receiver: string): Promise<void> {
    let channel = this.#channels.get(receiver)
    if (channel === undefined) {
      channel = { holders: 0, confirmed: Promise.resolve(), isConfirmed: false, idleSinceMs: 0, notifications: 0 }
      this.#channels.set(receiver, channel)
      channel.confirmed = this.#subscribe(receiver, channel)
    }
    channel.holders += 1
    try {
      await channel.confirmed
    } catch (error) {
      this.release(receiver)
      if (this.#channels.get(receiver) === channel) this.#channels.delete(receiver)
      throw error
    }
  }

  release(receiver: string): void {
    const channel = this.#channels.get(receiver)
    if (channel === undefined) return
    channel.holders -= 1
    if (channel.holders === 0) channel.idleSinceMs = Date.now()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #subscribe(receiver: string, channel: Channel): Promise<void> {
    await this.#redis.ssubscribe(this.#keys.of(receiver).wake).catch(storeFailure)
    channel.isConfirmed = true
  }

  #arrived(receiver: string): void {
    const channel = this.#channels.get(receiver)
    if (channel === undefined) return
    channel.notifications += 1
    if (channel.holders > 0) this.#onArrival(receiver)
  }

  async #resubscribe(): Promise<void> {
    const held = [...this.#channels].filter(([, channel]) => !channel.isConfirmed)
    await Promise.allSettled(
      held.map(([receiver, channel]) => {
        channel.confirmed = this.#subscribe(receiver, channel)
        return channel.confirmed
      }),
    )
    const back = held.filter(([, channel]) => channel.isConfirmed && channel.holders > 0)
    if (back.length > 0) this.#onResubscribed(back.map(([receiver]) => receiver))
  }

  #leaveIdle(): void {
    const before = Date.now() - LINGER_MS
    for (const [receiver, channel] of this.#channels) {
      if (channel.holders > 0 || channel.idleSinceMs > before) continue
      this.#channels.delete(receiver)
      this.#redis.sunsubscribe(this.#keys.of(receiver).wake).catch(() => {})
    }
  }
}
