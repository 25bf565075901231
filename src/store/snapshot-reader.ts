/** What a snapshot reads of Redis. Nothing here writes, and each call is one bounded run of commands. */
import { Cluster } from 'ioredis'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'

export interface NodeMemory {
  readonly node: string
  readonly usedBytes: number
  /** 0: no limit. */
  readonly maxBytes: number
}

/** One of these changes whenever a receiver that had nothing to deliver has something, and with every poll. */
const TELLING = ['appended', 'requeued', 'replayed', 'lastPoll', 'discarded:operator', 'discarded:retention'] as const

export class SnapshotReader {
  readonly #redis: Client
  readonly #keys: Keys

  constructor(redis: Client, keys: Keys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** Per receiver, in order: a text that stays the same as long as nothing happens. One HMGET each, the cheapest there is. */
  async marks(receivers: readonly string[]): Promise<string[]> {
    // In Cluster ioredis groups what is sent together by node; a pipeline of its own would have to be for one node.
    if (this.#redis instanceof Cluster) {
      const redis = this.#redis
      const read = receivers.map(id => redis.hmget(this.#keys.of(id).counts, ...TELLING))
      return (await Promise.all(read).catch(storeFailure)).map(String)
    }
    const pipeline = this.#redis.pipeline()
    for (const id of receivers) pipeline.hmget(this.#keys.of(id).counts, ...TELLING)
    const answers = (await pipeline.exec().catch(storeFailure)) ?? []
    return answers.map(([error, values]) => (error === null ? String(values) : storeFailure(error)))
  }

  async memory(): Promise<NodeMemory[]> {
    if (!(this.#redis instanceof Cluster))
      return [memoryOf('redis', await this.#redis.info('memory').catch(storeFailure))]
    const nodes = this.#redis.nodes('master')
    return Promise.all(
      nodes.map(async node => {
        const { host, port } = node.options
        return memoryOf(`${host}:${port}`, await node.info('memory').catch(storeFailure))
      }),
    )
  }
}

function memoryOf(node: string, info: string): NodeMemory {
  const value = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return { node, usedBytes: value('used_memory'), maxBytes: value('maxmemory') }
}
