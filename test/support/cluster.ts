/**
 * A Redis Cluster of real servers on loopback: masters with a replica each, to be failed over, killed and resharded.
 * Made by cluster commands alone: redis-cli need not be there.
 */
import { Redis } from 'ioredis'
import { type PrivateRedis, type PrivateRedisOptions, startRedisProcess } from './redis-process.ts'
import { until } from './until.ts'

export interface ClusterNode {
  readonly server: PrivateRedis
  readonly redis: Redis
  readonly id: string
  readonly address: string
}

export interface TestCluster {
  /** A `redis+cluster://` URL that names three of its nodes; `rediss+cluster://` with TLS. */
  readonly url: string
  readonly nodes: readonly ClusterNode[]
  /** The node that owns a slot now, as most nodes see it. */
  ownerOf(slot: number): Promise<ClusterNode>
  replicaOf(master: ClusterNode): Promise<ClusterNode>
  /** Moves a slot with its keys, one by one, as `redis-cli --cluster reshard` does. */
  moveSlot(slot: number, to: ClusterNode): Promise<void>
  /** A replica takes over from its live master, which loses nothing. */
  failOver(master: ClusterNode): Promise<ClusterNode>
  close(): Promise<void>
}

export interface ClusterOptions extends PrivateRedisOptions {
  readonly masters?: number
  readonly replicas?: boolean
}

const SLOTS = 16_384
/** What certificates of its nodes have to name. */
const TLS_HOST = 'localhost'
/** Short, so that a failover takes a second or two; machines under load need their time all the same. */
const NODE_TIMEOUT_MS = 2000
const WITHIN_MS = 30_000

export async function startCluster({
  masters = 3,
  replicas = true,
  ...options
}: ClusterOptions = {}): Promise<TestCluster> {
  const nodes: ClusterNode[] = []
  const close = async () => {
    for (const { redis } of nodes) redis.disconnect()
    await Promise.all(nodes.map(({ server }) => server.close()))
  }
  try {
    const count = masters * (replicas ? 2 : 1)
    // All of them, so that those that started are closed where one did not.
    const started = await Promise.allSettled(Array.from({ length: count }, () => startNode(options)))
    for (const each of started) if (each.status === 'fulfilled') nodes.push(each.value)
    for (const each of started) if (each.status === 'rejected') throw each.reason
    await join(nodes, masters)
    return {
      url: `redis${options.tls === undefined ? '' : 's'}+cluster://${nodes.slice(0, 3).map(({ address }) => address)}`,
      nodes,
      ...operations(nodes),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startNode({ args = [], tls }: PrivateRedisOptions): Promise<ClusterNode> {
  const server = await startRedisProcess({
    ...(tls === undefined ? {} : { tls }),
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf'],
      ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-replica-validity-factor', '0'],
      ...['--repl-diskless-sync-delay', '0', ...(tls === undefined ? [] : ['--tls-cluster', 'yes']), ...args],
    ],
  })
  const url = tls === undefined ? server.url : `rediss://${TLS_HOST}:${server.port}`
  const redis = new Redis(url, { replyMapping: 'legacy', retryStrategy: () => 100 })
  redis.on('error', () => {})
  return { server, redis, id: String(await redis.cluster('MYID')), address: url.replace(/^.*\//, '') }
}

async function join(nodes: readonly ClusterNode[], masters: number): Promise<void> {
  const first = nodes[0] as ClusterNode
  for (const [i, { redis }] of nodes.entries()) {
    await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    if (i < masters) {
      const [from, to] = [Math.ceil((SLOTS * i) / masters), Math.ceil((SLOTS * (i + 1)) / masters) - 1]
      await redis.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
    }
  }
  const [, busPort] = String(await first.redis.call('CONFIG', 'GET', 'cluster-port')).split(',')
  for (const { redis } of nodes.slice(1)) {
    await redis.call('CLUSTER', 'MEET', '127.0.0.1', first.server.port, busPort as string)
  }
  await everywhere(
    nodes,
    'every node knows every other',
    async ({ redis }) => (await known(redis)).length === nodes.length,
  )
  for (const [i, { redis }] of nodes.slice(masters).entries()) {
    await redis.call('CLUSTER', 'REPLICATE', (nodes[i] as ClusterNode).id)
  }
  await everywhere(nodes, 'the cluster is whole', async ({ redis }) => {
    const info = String(await redis.cluster('INFO'))
    return info.includes('cluster_state:ok') && info.includes(`cluster_size:${masters}`)
  })
  await everywhere(nodes.slice(masters), 'replicas follow', async ({ redis }) =>
    (await redis.info('replication')).includes('master_link_status:up'),
  )
  await everywhere(
    nodes,
    'every node knows the replicas',
    async ({ redis }) => (await known(redis)).filter(line => line.includes('slave')).length === nodes.length - masters,
  )
}

function operations(nodes: readonly ClusterNode[]) {
  const byId = (id: string | undefined) => {
    const found = nodes.find(node => node.id === id)
    if (found === undefined) throw new Error('no such node')
    return found
  }
  const ownerOf = async (slot: number): Promise<ClusterNode> => {
    const votes = new Map<string, number>()
    for (const { redis } of nodes.filter(({ redis: { status } }) => status === 'ready')) {
      const ranges = (await redis.cluster('SLOTS')) as unknown as [number, number, [string, number, string]][]
      const id = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][2]
      if (id !== undefined) votes.set(id, (votes.get(id) ?? 0) + 1)
    }
    return byId([...votes].toSorted(([, a], [, b]) => b - a)[0]?.[0])
  }
  return {
    ownerOf,
    async replicaOf(master: ClusterNode) {
      let id: string | undefined
      // A node that an earlier test killed may not be back yet.
      await until(`a replica of ${master.id}`, async () => {
        const lines = String(await master.redis.call('CLUSTER', 'REPLICAS', master.id)).split(',')
        id = lines.find(line => line !== '' && !line.includes('fail'))?.split(' ')[0]
        return id !== undefined
      })
      return byId(id)
    },
    async moveSlot(slot: number, to: ClusterNode) {
      const from = await ownerOf(slot)
      if (from === to) return
      await to.redis.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
      await from.redis.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
      for (;;) {
        const keys = (await from.redis.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
        if (keys.length === 0) break
        await from.redis.call('MIGRATE', '127.0.0.1', to.server.port, '', 0, 5000, 'KEYS', ...keys)
      }
      for (const node of [to, from, ...nodes])
        await node.redis.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch(() => {})
    },
    async failOver(master: ClusterNode) {
      const replica = await this.replicaOf(master)
      await replica.redis.call('CLUSTER', 'FAILOVER')
      await everywhere(nodes, 'every node follows the failover', async ({ redis }) =>
        (await known(redis)).some(line => line.startsWith(replica.id) && line.includes('master')),
      )
      return replica
    },
  }
}

async function known(redis: Redis): Promise<string[]> {
  return String(await redis.cluster('NODES'))
    .trim()
    .split('\n')
    .filter(line => !line.includes('handshake'))
}

async function everywhere(
  nodes: readonly ClusterNode[],
  what: string,
  is: (node: ClusterNode) => Promise<boolean>,
): Promise<void> {
  await Promise.all(nodes.map(node => until(what, () => is(node), WITHIN_MS)))
}
