/**
 * Subscriptions to sharded channels, over one connection a shard. Says which subscriptions stand, which broke, and which
 * stand again: after a lost connection, a failover, or a slot that moved to another node. The connections never
 * reconnect by themselves: one that broke is gone, and its channels are placed anew, wherever they belong by then.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { backOff, type RedisTarget } from './connection.ts'
import { storeFailure } from './failures.ts'
import { Topology } from './topology.ts'

export interface SubscriberListeners {
  onMessage(channel: string): void
  /** From here on messages may be missed. */
  onLost(channels: readonly string[]): void
  /** Confirmed again, some time after they were lost. */
  onRestored(channels: readonly string[]): void
}

/** A server that went without closing its connections is noticed within this and the time limit of a command. */
const HEARTBEAT_MS = 5000
/** So many heartbeats between two looks at whether subscriptions stand where they belong: a minute. */
const STRAYS_EVERY_BEATS = 12
const REDIRECTIONS_MAX = 5
/** Channels placed anew beside each other, so that a server that just came back is not flooded. */
const PLACED_AT_ONCE = 500

interface Node {
  readonly address: string
  readonly redis: Redis
  readonly channels: Set<string>
}

export class Subscriber {
  readonly #target: RedisTarget
  readonly #listeners: SubscriberListeners
  readonly #topology: Topology
  readonly #nodes = new Map<string, Node>()
  /** Where each channel is subscribed; undefined while it is lost. */
  readonly #channels = new Map<string, Node | undefined>()
  readonly #placing = new Map<string, Promise<void>>()
  readonly #closed = new AbortController()
  readonly #heartbeat: NodeJS.Timeout
  #isRestoring = false
  #beats = 0
  /** Channels that stood on the wrong node at the last look, with the address of the right one. */
  #strays = new Map<string, string>()

  constructor(target: RedisTarget, listeners: SubscriberListeners) {
    this.#target = target
    this.#listeners = listeners
    this.#topology = new Topology(target)
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref()
  }

  /** Resolves once Redis has confirmed it. @throws {TransmitterError} store_unavailable; then it is not subscribed. */
  async subscribe(channel: string): Promise<void> {
    const isNew = !this.#channels.has(channel)
    if (isNew) this.#channels.set(channel, undefined)
    try {
      if (this.#channels.get(channel) === undefined) await this.#place(channel)
    } catch (error) {
      if (isNew) this.#channels.delete(channel)
      storeFailure(error)
    }
  }

  /** Whether Redis has confirmed the subscription and its connection stands. */
  isSubscribed(channel: string): boolean {
    return this.#channels.get(channel) !== undefined
  }

  unsubscribe(channel: string): void {
    const node = this.#channels.get(channel)
    this.#channels.delete(channel)
    if (node === undefined) return
    node.channels.delete(channel)
    node.redis.sunsubscribe(channel).catch(() => {})
  }

  close(): void {
    this.#closed.abort()
    clearInterval(this.#heartbeat)
    for (const { redis } of this.#nodes.values()) redis.disconnect()
  }

  /** Calls made for a channel meanwhile share the attempt. */
  #place(channel: string): Promise<void> {
    let placing = this.#placing.get(channel)
    if (placing === undefined) {
      placing = this.#subscribeWhereItBelongs(channel).finally(() => this.#placing.delete(channel))
      this.#placing.set(channel, placing)
    }
    return placing
  }

  async #subscribeWhereItBelongs(channel: string): Promise<void> {
    for (let redirections = 0; ; redirections++) {
      const address = await this.#ownerOf(channel)
      if (this.#closed.signal.aborted) throw new Error('Connection is closed.')
      const node = this.#node(address)
      try {
        await node.redis.ssubscribe(channel)
        if (!this.#channels.has(channel)) {
          // Nobody wants it any more.
          node.redis.sunsubscribe(channel).catch(() => {})
          return
        }
        if (node.redis.status === 'end') throw new Error('Connection is closed.')
        if (!isConfirmed(node, channel)) {
          // The slot moved just now: the server ended the subscription before its confirmation got here.
          if (redirections === REDIRECTIONS_MAX) throw new Error('Too many Cluster redirections.')
          await this.#topology.refresh()
          continue
        }
        this.#channels.set(channel, node)
        node.channels.add(channel)
        return
      } catch (error) {
        if (redirections === REDIRECTIONS_MAX || !this.#topology.learn(error)) throw error
        // Where one slot has moved, others have, or nothing is known yet.
        void this.#topology.refresh()
      }
    }
  }

  /** Asks where it is unknown: any node that is a replica of the owner takes a subscription without a word. */
  async #ownerOf(channel: string): Promise<string> {
    if (this.#target.kind === 'cluster' && this.#topology.addressOf(channel) === '') await this.#topology.refresh()
    return this.#topology.addressOf(channel)
  }

  #node(address: string): Node {
    const known = this.#nodes.get(address)
    if (known !== undefined) return known
    const redis = this.#target.openNode(address === '' ? undefined : address)
    const node: Node = { address, redis, channels: new Set() }
    this.#nodes.set(address, node)
    redis.on('smessage', (channel: string) => this.#listeners.onMessage(channel))
    redis.on('moved', () => this.#leaveMoved(node))
    redis.once('end', () => {
      this.#forget(node)
      this.#lose(node, [...node.channels])
    })
    return node
  }

  #leave(node: Node): void {
    // At once, since closing takes a moment in which a new subscription would meet a closed connection.
    this.#forget(node)
    node.redis.disconnect()
  }

  /** Its address may have another connection by now. */
  #forget(node: Node): void {
    if (this.#nodes.get(node.address) === node) this.#nodes.delete(node.address)
  }

  /** The server ends the subscriptions of a slot that it no longer has; ioredis says only that it did. */
  #leaveMoved(node: Node): void {
    this.#lose(
      node,
      [...node.channels].filter(channel => !isConfirmed(node, channel)),
    )
  }

  #lose(node: Node, channels: readonly string[]): void {
    for (const channel of channels) {
      node.channels.delete(channel)
      if (this.#channels.get(channel) === node) this.#channels.set(channel, undefined)
    }
    if (channels.length === 0 || this.#closed.signal.aborted) return
    this.#listeners.onLost(channels)
    void this.#restore()
  }

  async #restore(): Promise<void> {
    if (this.#isRestoring) return
    this.#isRestoring = true
    try {
      for (let attempt = 0; ; attempt++) {
        await delay(backOff(attempt), undefined, { signal: this.#closed.signal, ref: false })
        await this.#topology.refresh()
        const lost = [...this.#channels].flatMap(([channel, node]) => (node === undefined ? [channel] : []))
        const byAddress = Map.groupBy(lost, channel => this.#topology.addressOf(channel))
        await Promise.all([...byAddress.values()].map(channels => this.#restoreAll(channels)))
        if (![...this.#channels.values()].includes(undefined)) return
      }
    } catch {
      // Closed.
    } finally {
      this.#isRestoring = false
    }
  }

  /** Of one server, in parts. */
  async #restoreAll(channels: readonly string[]): Promise<void> {
    for (let from = 0; from < channels.length; from += PLACED_AT_ONCE) {
      const part = channels.slice(from, from + PLACED_AT_ONCE)
      await Promise.allSettled(part.map(channel => this.#place(channel)))
      const restored = part.filter(channel => this.isSubscribed(channel))
      if (restored.length === 0) return // It is away still.
      this.#listeners.onRestored(restored)
    }
  }

  #beat(): void {
    for (const node of this.#nodes.values()) {
      // A node that has nothing of ours any more, as after its slots moved away.
      if (node.channels.size === 0 && this.#placing.size === 0) this.#leave(node)
      else node.redis.ping().catch(() => this.#leave(node))
    }
    this.#beats += 1
    if (this.#target.kind === 'cluster' && this.#beats % STRAYS_EVERY_BEATS === 0) void this.#leaveStrays()
  }

  /** A subscription may have been placed by what a node believed that was behind; a replica never says so. */
  async #leaveStrays(): Promise<void> {
    await this.#topology.refresh()
    const before = this.#strays
    this.#strays = new Map()
    for (const node of this.#nodes.values()) {
      const found = [...node.channels].filter(channel => {
        const owner = this.#topology.addressOf(channel)
        if (owner === '' || owner === node.address) return false
        this.#strays.set(channel, owner)
        return true
      })
      // The node that was asked may be what is behind: only what two looks agree about is moved.
      const strays = found.filter(channel => before.get(channel) === this.#strays.get(channel))
      for (const channel of strays) node.redis.sunsubscribe(channel).catch(() => {})
      this.#lose(node, strays)
    }
  }
}

/** By what ioredis keeps for itself, which lists channels only all at once: too slow to ask for each of thousands. */
function isConfirmed({ redis }: Node, channel: string): boolean {
  const { condition } = redis as unknown as {
    condition?: { subscriber?: false | { set: { ssubscribe: Record<string, true> } } }
  }
  return condition?.subscriber ? condition.subscriber.set.ssubscribe[channel] === true : false
}
