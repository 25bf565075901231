/** A Redis Cluster of three masters with a replica each: what transmitters reach, and what can happen to it. */
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import { slotOf } from '../src/store/topology.ts'
import { type ClusterNode, startCluster, type TestCluster } from '../test/support/cluster.ts'
import { until } from '../test/support/until.ts'
import type { ChaosRedis } from './faults.ts'

const WITHIN_MS = 60_000
const SLOTS = 16_384

export class ClusteredRedis implements ChaosRedis {
  readonly url: string
  readonly network = undefined
  readonly #cluster: TestCluster
  readonly #client: Cluster
  /** Key of each receiver that may be moved. */
  readonly #keys: readonly string[]

  private constructor(cluster: TestCluster, keys: readonly string[]) {
    this.#cluster = cluster
    this.#keys = keys
    this.url = cluster.url
    const seeds = cluster.nodes.map(({ server }) => ({ host: '127.0.0.1', port: server.port }))
    this.#client = new Cluster(seeds, { redisOptions: { replyMapping: 'legacy' } })
    this.#client.on('error', () => {})
  }

  static async start(fsync: 'always' | 'everysec', keys: readonly string[]): Promise<ClusteredRedis> {
    const args = ['--appendfsync', fsync, '--maxmemory-policy', 'noeviction', '--repl-timeout', '5']
    const cluster = new ClusteredRedis(await startCluster({ args }), keys)
    await cluster.untilWhole()
    return cluster
  }

  get redis(): Redis {
    const masters = () => this.#client.nodes('master')
    const keys = async (pattern: string) => (await Promise.all(masters().map(node => node.keys(pattern)))).flat()
    return Object.assign(this.#client, { keys }) as unknown as Redis
  }

  async crash(awayMs: number, which: number): Promise<void> {
    await this.untilWhole()
    const master = await this.#master(which)
    await master.server.kill()
    await delay(awayMs)
    await master.server.start()
  }

  powerCut(awayMs: number, which: number): Promise<void> {
    return this.crash(awayMs, which)
  }

  /** A master dies for so long that its replica takes over by itself. */
  async failOver(_lagMs: number, which: number): Promise<void> {
    await this.untilWhole()
    const master = await this.#master(which)
    const replica = await this.#cluster.replicaOf(master)
    await master.server.kill()
    await until(
      'the replica has taken over',
      async () => (await replica.redis.info('replication')).includes('role:master'),
      WITHIN_MS,
    )
    await master.server.start()
  }

  async handOver(which: number): Promise<void> {
    await this.untilWhole()
    await this.#cluster.failOver(await this.#master(which))
  }

  async freeze(ms: number, which: number): Promise<void> {
    await this.untilWhole()
    const { server } = await this.#master(which)
    server.freeze()
    await delay(ms)
    server.thaw()
  }

  async freezeReplicas(ms: number): Promise<void> {
    const masters = await this.#masters()
    const replicas = this.#cluster.nodes.filter(node => !masters.includes(node))
    for (const { server } of replicas) server.freeze()
    await delay(ms)
    for (const { server } of replicas) server.thaw()
  }

  fillUp(ms: number): Promise<void> {
    return this.#configured('maxmemory', '1mb', ms)
  }

  refuseWrites(ms: number): Promise<void> {
    return this.#configured('min-replicas-to-write', '9', ms)
  }

  async forgetScripts(): Promise<void> {
    for (const { redis } of await this.#masters()) await redis.script('FLUSH')
  }

  /** The slots of some receivers, and of whatever shares them, move to the next master. */
  async reshard(which: number): Promise<void> {
    await this.untilWhole()
    for (const [i, key] of this.#keys.entries()) {
      if (i % 2 !== Math.floor(which * 2)) continue
      const slot = slotOf(key)
      const masters = await this.#masters()
      const owner = masters.indexOf(await this.#cluster.ownerOf(slot))
      await this.#cluster.moveSlot(slot, masters[(owner + 1) % masters.length] as ClusterNode)
    }
  }

  async untilWhole(): Promise<void> {
    const { nodes } = this.#cluster
    await until(
      'the cluster is whole',
      async () => {
        const facts = await Promise.all(
          nodes.map(async ({ redis }) => `${await redis.cluster('INFO')}${await redis.info('replication')}`),
        ).catch(() => [''])
        const masters = facts.filter(fact => fact.includes('role:master') && /state=online/.test(fact))
        const replicas = facts.filter(fact => fact.includes('master_link_status:up'))
        return facts.every(fact => fact.includes('cluster_state:ok')) && masters.length === 3 && replicas.length === 3
      },
      WITHIN_MS,
    )
  }

  async close(): Promise<void> {
    this.#client.disconnect()
    await this.#cluster.close()
  }

  async #masters(): Promise<ClusterNode[]> {
    const thirds = [0, 1, 2].map(i => Math.floor((SLOTS * (i + 0.5)) / 3))
    return Promise.all(thirds.map(slot => this.#cluster.ownerOf(slot)))
  }

  async #master(which: number): Promise<ClusterNode> {
    const masters = await this.#masters()
    return masters[Math.floor(which * masters.length)] as ClusterNode
  }

  async #configured(name: string, value: string, ms: number): Promise<void> {
    const masters = await this.#masters()
    await Promise.all(masters.map(({ redis }) => redis.config('SET', name, value)))
    await delay(ms)
    await Promise.all(this.#cluster.nodes.map(({ redis }) => redis.config('SET', name, '0')))
  }
}
