/**
 * The real Redis of a test file. Import it at the top of the file: what is opened here is closed after the file's last
 * test, and a connection to the shared Redis that anything else left open fails the file.
 */
import { randomBytes } from 'node:crypto'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { afterAll, inject } from 'vitest'
import { type Client, parseRedisUrl } from '../../src/store/connection.ts'
import { type PrivateRedis, type PrivateRedisOptions, startRedisProcess } from './redis-process.ts'

export type { PrivateRedis } from './redis-process.ts'

/** Longest a socket that was told to close may take before it counts as left open. */
const CLOSING_MS = 2000

const sockets = new Set<Socket>()
const clients = new Set<Redis>()
const servers = new Set<PrivateRedis>()
const prefixes = new Set<string>()

diagnostics.subscribe('net.client.socket', message => {
  const { socket } = message as { socket: Socket }
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
})

/** A URL as REDIS_URL takes it, also for processes that a test starts. */
export function redisUrl(): string {
  return inject('redisUrl')
}

/** Whether the shared Redis is a cluster: `npm run test:cluster`. */
export function isCluster(url: string = redisUrl()): boolean {
  return /^rediss?\+cluster:/.test(url)
}

/** With an authority that this process trusts. */
function isTls(url: string): boolean {
  return url.startsWith('rediss')
}

/** A key prefix nobody else has. Its keys are deleted after the file's last test. */
export function testPrefix(): string {
  const prefix = `t-${randomBytes(6).toString('hex')}`
  prefixes.add(prefix)
  return prefix
}

/** A client of the shared Redis, or of the server at `url`. Closed after the file's last test, if not before. */
export function connect(options: RedisOptions & { replyMapping?: 'legacy' } = {}, url: string = redisUrl()): Redis {
  // A cluster's client does what tests ask of a single server's, as long as a command stays with one receiver.
  const client = isCluster(url) ? (clusterClient(url, options) as unknown as Redis) : singleClient(url, options)
  // Fault tests take the server away on purpose: what a command says is what counts.
  client.on('error', () => {})
  clients.add(client)
  client.once('end', () => clients.delete(client))
  return client
}

/** A client as the transmitter opens it for what requests ask. */
export function connectForRequests(url: string = redisUrl()): Client {
  const client = parseRedisUrl(url).open('requests')
  clients.add(client as Redis)
  client.once('end', () => clients.delete(client as Redis))
  return client
}

function singleClient(url: string, options: RedisOptions & { replyMapping?: 'legacy' }): Redis {
  if (!/^rediss?\+sentinel:/.test(url)) return new Redis(url, options)
  const sentinels = addressesOf(url).map(([host, port]) => ({ host, port }))
  const secure = isTls(url) ? { tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} } : {}
  return new Redis({ ...options, ...secure, sentinels, name: url.split('/').at(-1) ?? '' })
}

/** What speaks of a whole server speaks of every master here. */
function clusterClient(url: string, options: RedisOptions & { replyMapping?: 'legacy' }): Cluster {
  const seeds = addressesOf(url).map(([host, port]) => ({ host, port }))
  const cluster = isTls(url)
    ? new Cluster(seeds, {
        redisOptions: { ...options, tls: {} },
        dnsLookup: (host, found) => found(null, host), // Certificates name it.
      })
    : new Cluster(seeds, { redisOptions: options })
  const everyMaster = async <T>(ask: (redis: Redis) => Promise<T>) => {
    if (cluster.status !== 'ready') await once(cluster, 'ready')
    return Promise.all(cluster.nodes('master').map(ask))
  }
  async function* scan(given: Parameters<Redis['scanStream']>[0]) {
    if (cluster.status !== 'ready') await once(cluster, 'ready')
    for (const redis of cluster.nodes('master')) yield* redis.scanStream(given)
  }
  return Object.assign(cluster, {
    keys: async (pattern: string) => (await everyMaster(redis => redis.keys(pattern))).flat(),
    script: async (subcommand: 'FLUSH') => (await everyMaster(redis => redis.script(subcommand)))[0],
    scanStream: (given: Parameters<Redis['scanStream']>[0]) => Readable.from(scan(given)),
  }) as unknown as Cluster
}

function addressesOf(url: string): [host: string, port: number][] {
  const hosts = url.replace(/^[^/]*\/\/(?:[^@]*@)?/, '').split(/[/?]/, 1)[0] ?? ''
  return hosts.split(',').map(host => {
    const [name = '', port = '6379'] = host.split(':')
    return [name, Number(port)]
  })
}

/** A server of this file's own, killed and removed after the file's last test, if not before. */
export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const server = await startRedisProcess(options)
  servers.add(server)
  return server
}

// Hooks run last to first, so that this one, registered on import, comes after those of the file.
afterAll(async () => {
  try {
    await deleteKeys()
    for (const client of clients) client.disconnect()
    await refuseOpenConnections()
  } finally {
    await Promise.all([...servers].map(server => server.close()))
  }
})

async function deleteKeys(): Promise<void> {
  if (prefixes.size === 0) return
  const redis = connect()
  for (const prefix of prefixes) {
    // BullMQ's keys begin with the brace of their hash tag.
    for (const match of [`${prefix}:*`, `{${prefix}:*`]) {
      for await (const keys of redis.scanStream({ match, count: 1000 })) {
        // One by one: a page of a cluster's keys is of many slots.
        await Promise.all((keys as string[]).map(key => redis.unlink(key)))
      }
    }
  }
}

async function refuseOpenConnections(): Promise<void> {
  const ports = new Set(addressesOf(redisUrl()).map(([, port]) => port))
  const open = [...sockets].filter(socket => socket.connecting || ports.has(socket.remotePort ?? 0))
  const left = await Promise.all(
    open.map(socket =>
      once(socket, 'close', { signal: AbortSignal.timeout(CLOSING_MS) }).then(
        () => false,
        // One that was on its way may have led elsewhere.
        () => socket.connecting || ports.has(socket.remotePort ?? 0),
      ),
    ),
  )
  const count = left.filter(Boolean).length
  if (count > 0) throw new Error(`${count} connection(s) to Redis were left open by this file`)
}
