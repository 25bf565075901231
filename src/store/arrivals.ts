/**
 * Tells held polls that something arrived for their receiver, whichever process appended it. Subscribed to the receivers
 * with held polls here and, for a while, to those that had some, so that a receiver that polls again at once costs no
 * subscription.
 */
import type { RedisTarget } from './connection.ts'
import type { Keys } from './keys.ts'
import { Subscriber } from './subscriber.ts'

const LINGER_MS = 10_000
const SWEEP_EVERY_MS = 5000

interface Channel {
  readonly wake: string
  holders: number
  idleSinceMs: number
  /** New with each notification, so that one between an empty poll and its registration is noticed. */
  notifications: number
}

export class Arrivals {
  readonly #subscriber: Subscriber
  readonly #keys: Keys
  readonly #channels = new Map<string, Channel>()
  readonly #onArrival: (receiver: string) => void
  readonly #timer: NodeJS.Timeout
  /** Of all channels together: one that was left and is made anew must not come to the number that it had before. */
  #sequence = 0

  /**
   * @param onArrival called for each notification.
   * @param onResubscribed called after subscriptions that were lost are confirmed again: what arrived meanwhile was not
   *   told.
   */
  constructor(
    target: RedisTarget,
    keys: Keys,
    listeners: { onArrival(receiver: string): void; onResubscribed(receivers: readonly string[]): void },
  ) {
    this.#keys = keys
    this.#onArrival = listeners.onArrival
    this.#subscriber = new Subscriber(target, {
      onMessage: channel => this.#arrived(keys.receiverOfWake(channel)),
      onLost: channels => void this.#passOver(channels),
      onRestored: channels => {
        const held = this.#passOver(channels)
        if (held.length > 0) listeners.onResubscribed(held)
      },
    })
    this.#timer = setInterval(() => this.#leaveIdle(), SWEEP_EVERY_MS).unref()
  }

  /** A number that is the same later if and only if the subscription stood all the time and nothing arrived; else undefined. */
  mark(receiver: string): number | undefined {
    const channel = this.#channels.get(receiver)
    return channel !== undefined && this.#subscriber.isSubscribed(channel.wake) ? channel.notifications : undefined
  }

  isListening(receiver: string): boolean {
    return this.mark(receiver) !== undefined
  }

  /** @throws {TransmitterError} store_unavailable; the hold is released then. */
  async hold(receiver: string): Promise<void> {
    let channel = this.#channels.get(receiver)
    if (channel === undefined) {
      channel = { wake: this.#keys.of(receiver).wake, holders: 0, idleSinceMs: 0, notifications: ++this.#sequence }
      this.#channels.set(receiver, channel)
    }
    channel.holders += 1
    try {
      await this.#subscriber.subscribe(channel.wake)
    } catch (error) {
      this.release(receiver)
      throw error
    }
  }

  release(receiver: string): void {
    const channel = this.#channels.get(receiver)
    if (channel === undefined) return
    channel.holders -= 1
    if (channel.holders === 0) channel.idleSinceMs = performance.now()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#subscriber.close()
  }

  /** Something may have arrived for them unnoticed. @returns those of them that are held. */
  #passOver(channels: readonly string[]): string[] {
    const held: string[] = []
    for (const name of channels) {
      const receiver = this.#keys.receiverOfWake(name)
      const channel = this.#channels.get(receiver)
      if (channel === undefined) continue
      channel.notifications = ++this.#sequence
      if (channel.holders > 0) held.push(receiver)
    }
    return held
  }

  #arrived(receiver: string): void {
    const channel = this.#channels.get(receiver)
    if (channel === undefined) return
    channel.notifications = ++this.#sequence
    if (channel.holders > 0) this.#onArrival(receiver)
  }

  #leaveIdle(): void {
    const before = performance.now() - LINGER_MS
    for (const [receiver, channel] of this.#channels) {
      if (channel.holders > 0 || channel.idleSinceMs > before) continue
      this.#channels.delete(receiver)
      this.#subscriber.unsubscribe(channel.wake)
    }
  }
}
