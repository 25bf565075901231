/** A Redis server with replicas behind a proxy: what transmitters reach, and what can happen to it. */
import { readdir, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type PrivateRedis, startRedisProcess } from '../test/support/redis-process.ts'
import { until } from '../test/support/until.ts'
import type { ChaosRedis } from './faults.ts'
import { type Network, startNetwork } from './network.ts'

const WITHIN_MS = 60_000

interface Server {
  readonly process: PrivateRedis
  readonly redis: Redis
}

export class ReplicatedRedis implements ChaosRedis {
  readonly url: string
  readonly network: Network
  readonly #fsync: 'always' | 'everysec'
  #master: Server
  #replicas: Server[]

  private constructor(fsync: 'always' | 'everysec', master: Server, replicas: Server[], network: Network) {
    this.#fsync = fsync
    this.#master = master
    this.#replicas = replicas
    this.network = network
    this.url = `redis://127.0.0.1:${network.port}`
  }

  static async start(replicas: number, fsync: 'always' | 'everysec'): Promise<ReplicatedRedis> {
    const args = [
      ...['--appendfsync', fsync, '--repl-diskless-sync-delay', '0', '--maxmemory-policy', 'noeviction'],
      ...['--repl-timeout', '5', '--repl-ping-replica-period', '1', '--enable-debug-command', 'local'],
    ]
    const servers = await Promise.all(Array.from({ length: replicas + 1 }, () => startServer(args)))
    const [master, ...others] = servers as [Server, ...Server[]]
    const set = new ReplicatedRedis(fsync, master, others, await startNetwork(master.process.port))
    await Promise.all(others.map(({ redis }) => redis.replicaof('127.0.0.1', master.process.port)))
    await set.untilWhole()
    return set
  }

  /** For looking only: not through the proxy. */
  get redis(): Redis {
    return this.#master.redis
  }

  /** SIGKILL, and back with what its append-only file holds. */
  async crash(awayMs: number): Promise<void> {
    await this.#master.process.kill()
    await delay(awayMs)
    await this.#master.process.start()
  }

  /** Power fails: as a crash, and what was not on disk is gone. With `everysec` that is what the last second brought. */
  async powerCut(awayMs: number): Promise<void> {
    const { process } = this.#master
    const file = await appendFile(process.directory)
    const { size } = await stat(file)
    await delay(1000)
    await process.kill()
    if (this.#fsync === 'everysec' && (await stat(file)).size > size) await truncate(file, size)
    await delay(awayMs)
    await process.start()
  }

  /**
   * The master dies; the replica that has most takes its place, as Sentinel would choose; the dead one comes back as a
   * replica.
   * @param lagMs for so long nothing had reached the replicas.
   */
  async failOver(lagMs: number): Promise<void> {
    const old = this.#master
    if (lagMs > 0) {
      for (const { process } of this.#replicas) process.freeze()
      await delay(lagMs)
    }
    await old.process.kill()
    for (const { process } of this.#replicas) process.thaw()
    this.network.cut()
    const offsets = await Promise.all(this.#replicas.map(({ redis }) => replicationOffset(redis)))
    const best = offsets.indexOf(Math.max(...offsets))
    const next = this.#replicas[best] as Server
    await next.redis.replicaof('NO', 'ONE')
    const others = this.#replicas.filter(replica => replica !== next)
    await Promise.all(others.map(({ redis }) => redis.replicaof('127.0.0.1', next.process.port)))
    this.#master = next
    this.#replicas = [...others, old]
    this.network.target = next.process.port
    this.network.cut()
    await old.process.start()
    await old.redis.replicaof('127.0.0.1', next.process.port)
  }

  /** The master hands over in good order and becomes a replica; nobody's connection is closed. */
  async handOver(): Promise<void> {
    await this.untilWhole()
    const old = this.#master
    const next = this.#replicas[0] as Server
    await old.redis.call('FAILOVER', 'TO', '127.0.0.1', next.process.port, 'TIMEOUT', 5000)
    await until(
      'it has taken over',
      async () => (await next.redis.info('replication')).includes('role:master'),
      WITHIN_MS,
    )
    this.#master = next
    this.#replicas = [...this.#replicas.slice(1), old]
    await Promise.all(this.#replicas.map(({ redis }) => redis.replicaof('127.0.0.1', next.process.port)))
    // Old connections go on leading to what is read-only now, and new ones to its successor.
    this.network.target = next.process.port
  }

  async freeze(ms: number): Promise<void> {
    const { process } = this.#master
    process.freeze()
    await delay(ms)
    process.thaw()
  }

  async freezeReplicas(ms: number): Promise<void> {
    const replicas = [...this.#replicas]
    for (const { process } of replicas) process.freeze()
    await delay(ms)
    for (const { process } of replicas) process.thaw()
  }

  /** No memory is left for anything that needs some. */
  async fillUp(ms: number): Promise<void> {
    const { redis } = this.#master
    await redis.config('SET', 'maxmemory', '1mb')
    await delay(ms)
    await redis.config('SET', 'maxmemory', '0')
  }

  /** As when its disk is full: it refuses every write. */
  async refuseWrites(ms: number): Promise<void> {
    const { redis } = this.#master
    await redis.config('SET', 'min-replicas-to-write', '9')
    await delay(ms)
    await redis.config('SET', 'min-replicas-to-write', '0')
  }

  /** Scripts are forgotten, as after a restart. */
  async forgetScripts(): Promise<void> {
    await this.#master.redis.script('FLUSH')
  }

  async untilWhole(): Promise<void> {
    const lines = this.#replicas.length
    await until(
      'every replica follows',
      async () => {
        const info = await this.#master.redis.info('replication').catch(() => '')
        return (info.match(/state=online/g) ?? []).length >= lines
      },
      WITHIN_MS,
    )
  }

  async close(): Promise<void> {
    await this.network.close()
    for (const { redis, process } of [this.#master, ...this.#replicas]) {
      redis.disconnect()
      await process.close()
    }
  }
}

async function startServer(args: readonly string[]): Promise<Server> {
  const process = await startRedisProcess({ args })
  const redis = new Redis(process.url, { replyMapping: 'legacy', retryStrategy: () => 50, maxRetriesPerRequest: null })
  redis.on('error', () => {})
  return { process, redis }
}

/** The one that is written to. */
async function appendFile(directory: string): Promise<string> {
  const folder = join(directory, 'appendonlydir')
  const files = (await readdir(folder)).filter(name => name.endsWith('.incr.aof'))
  const sequence = (name: string) => Number(/\.(\d+)\.incr\.aof$/.exec(name)?.[1])
  const last = files.toSorted((a, b) => sequence(b) - sequence(a))[0]
  if (last === undefined) throw new Error('there is no append-only file')
  return join(folder, last)
}

async function replicationOffset(redis: Redis): Promise<number> {
  return Number(/slave_repl_offset:(\d+)/.exec(await redis.info('replication'))?.[1] ?? -1)
}
