/** A Redis Cluster of masters alone, for what a client of several servers costs. */
import type { Setting } from './bench.ts'
import { until } from './net.ts'
import { type RedisServer, startRedis } from './redis.ts'

const SLOTS = 16_384

export interface RedisCluster {
  readonly url: string
  readonly nodes: readonly RedisServer[]
}

export async function startCluster(setting: Setting, masters: number): Promise<RedisCluster> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '5000' }
  const nodes = await Promise.all(Array.from({ length: masters }, () => startRedis(setting, settings)))
  const hosts = nodes.map(({ url }) => new URL(url).host)
  for (const [at, { client }] of nodes.entries()) {
    const first = Math.floor((at * SLOTS) / masters)
    await client.cluster('ADDSLOTSRANGE', first, Math.floor(((at + 1) * SLOTS) / masters) - 1)
    if (at > 0) await client.cluster('MEET', ...(hosts[0]!.split(':') as [string, string]))
  }
  await until(async () => {
    for (const { client } of nodes) {
      const info = String(await client.cluster('INFO'))
      if (!info.includes('cluster_state:ok') || !info.includes(`cluster_known_nodes:${masters}`)) {
        throw new Error('the cluster is not complete')
      }
    }
  })
  return { url: `redis+cluster://${hosts.join(',')}`, nodes }
}
