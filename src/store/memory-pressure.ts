/**
 * How full Redis is, and how much that leaves to each receiver. Above a share of `maxmemory` those that hold most may take
 * nothing more, and the fuller it gets the more of them. Asked by publishing alone: looked at again while something is
 * published, at most once a second, and never waited for.
 */
import { Cluster, type Redis } from 'ioredis'
import type { Client, RedisTarget } from './connection.ts'
import type { Keys } from './keys.ts'
import { Topology } from './topology.ts'

const LOOK_EVERY_MS = 1000
/** How much each receiver holds costs a command a receiver. */
const WEIGH_EVERY_MS = 5000
const ASKED_AT_ONCE = 500

interface Server {
  readonly address: string
  readonly usedPercent: number
}

export interface MemoryPressureOptions {
  readonly target: RedisTarget
  readonly redis: Client
  readonly keys: Keys
  /** Above it receivers are held back. */
  readonly highPercent: number
  receivers(): Promise<readonly { readonly id: string }[]>
}

export class MemoryPressure {
  readonly #options: MemoryPressureOptions
  readonly #topology: Topology
  /** By the address of the server: bytes that a receiver there may hold. Empty while memory suffices. */
  #bytesMax: ReadonlyMap<string, number> = new Map()
  /** Mean of what receivers hold that hold something, by the address of the server. */
  #mean: ReadonlyMap<string, number> = new Map()
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #weighedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: MemoryPressureOptions) {
    this.#options = options
    this.#topology = new Topology(options.target)
  }

  /** Bytes of SETs that a receiver may hold for now. */
  bytesMaxOf(receiver: string): number {
    const nowMs = performance.now()
    if (nowMs - this.#lookedAtMs > LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs
      // While Redis is away there is nothing to hold back, and publishing says so itself.
      this.#look().catch(() => {})
    }
    if (this.#bytesMax.size === 0) return Number.POSITIVE_INFINITY
    const address = this.#topology.addressOf(this.#options.keys.of(receiver).log)
    return this.#bytesMax.get(address) ?? Number.POSITIVE_INFINITY
  }

  async #look(): Promise<void> {
    const { redis, highPercent } = this.#options
    const full = (await usage(redis)).filter(({ usedPercent }) => usedPercent >= highPercent)
    if (full.length > 0) await this.#weigh()
    this.#bytesMax = new Map(
      full.map(({ address, usedPercent }) => {
        // At the mark twice the mean, at the limit nothing: those that hold most are held back first.
        const left = Math.max(0, 100 - usedPercent) / Math.max(1, 100 - highPercent)
        return [address, Math.floor(2 * left * (this.#mean.get(address) ?? 0))]
      }),
    )
  }

  async #weigh(): Promise<void> {
    const nowMs = performance.now()
    if (nowMs - this.#weighedAtMs < WEIGH_EVERY_MS) return
    this.#weighedAtMs = nowMs
    const { redis, keys, receivers } = this.#options
    await this.#topology.refresh()
    const held = new Map<string, { bytes: number; count: number }>()
    const ids = (await receivers()).map(({ id }) => id)
    for (let from = 0; from < ids.length; from += ASKED_AT_ONCE) {
      const part = ids.slice(from, from + ASKED_AT_ONCE).map(id => keys.of(id))
      const found = await Promise.all(part.map(({ counts }) => redis.hget(counts, 'bytes')))
      for (const [i, text] of found.entries()) {
        const bytes = Number(text ?? 0)
        if (bytes === 0) continue
        const address = this.#topology.addressOf(part[i]?.log ?? '')
        const sum = held.get(address) ?? { bytes: 0, count: 0 }
        held.set(address, { bytes: sum.bytes + bytes, count: sum.count + 1 })
      }
    }
    this.#mean = new Map([...held].map(([address, { bytes, count }]) => [address, bytes / count]))
  }
}

function usage(redis: Client): Promise<Server[]> {
  if (!(redis instanceof Cluster)) return Promise.all([usageOf(redis, '')])
  return Promise.all(
    redis.nodes('master').map(node => usageOf(node, `${node.options.host ?? ''}:${node.options.port ?? ''}`)),
  )
}

async function usageOf(redis: Redis, address: string): Promise<Server> {
  const info = await redis.info('memory')
  const value = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const max = value('maxmemory')
  // Buffers of replicas do not count against the limit.
  const used = value('used_memory') - value('mem_not_counted_for_evict')
  return { address, usedPercent: max === 0 ? 0 : (used / max) * 100 }
}
