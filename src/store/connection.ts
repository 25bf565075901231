/**
 * Opens connections to Redis: one server, Sentinel or Cluster, told apart by the URL (design, sections 5 and 6).
 * Opening is lazy; what goes wrong later is answered per command.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { SetupError } from '../errors.ts'

export type Client = Redis | Cluster

/** What a connection is for; it decides how long a command may take and what happens while Redis is away. */
export type Purpose = 'requests' | 'subscriber' | 'jobs'

export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  open(purpose: Purpose): Client
}

/** So that a caller learns within two seconds that Redis does not answer, with what is done before and after. */
const COMMAND_TIMEOUT_MS = 1500

/** @throws {SetupError} without the URL, which may hold a password. */
export function parseRedisUrl(url: string): RedisTarget {
  const match = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null)
    throw new SetupError('REDIS_URL: not a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL')
  const [, scheme, kind = 'single', userInfo, hostList = '', path = '', query] = match
  const tls = scheme === 'rediss' || new URLSearchParams(query).get('tls') === '1'
  const credentials = credentialsOf(userInfo)
  const secure: RedisOptions = tls ? { tls: {} } : {}
  if (kind === 'cluster') {
    const nodes = hostList.split(',').map(host => hostAndPort(host, 6379))
    return clusterTarget(nodes, { ...credentials, ...secure })
  }
  if (kind === 'sentinel') {
    const [name, db] = path.split('/')
    if (!name) throw new SetupError('REDIS_URL: redis+sentinel:// needs the name of the master as its path')
    const sentinels = hostList.split(',').map(host => hostAndPort(host, 26379))
    return singleTarget(
      {
        sentinels,
        name,
        ...credentials,
        ...secure,
        ...(db ? { db: Number(db) } : {}),
        ...(tls ? { enableTLSForSentinelMode: true } : {}),
      },
      'sentinel',
    )
  }
  return singleTarget({
    ...hostAndPort(hostList, 6379),
    ...credentials,
    ...secure,
    ...(path ? { db: Number(path) } : {}),
  })
}

export function singleTarget(options: RedisOptions, kind: 'single' | 'sentinel' = 'single'): RedisTarget {
  return { kind, open: purpose => quiet(new Redis({ ...options, ...optionsFor(purpose), replyMapping: 'legacy' })) }
}

function clusterTarget(nodes: { host: string; port: number }[], redisOptions: RedisOptions): RedisTarget {
  return {
    kind: 'cluster',
    open(purpose) {
      const options = {
        redisOptions: { ...redisOptions, ...nodeOptions(purpose), replyMapping: 'legacy' as const },
        shardedSubscribers: purpose === 'subscriber',
        enableAutoPipelining: purpose === 'requests',
        retryDelayOnClusterDown: 100,
        clusterRetryStrategy: backOff,
        maxRedirections: 8,
      }
      return quiet(new Cluster(nodes, options))
    },
  }
}

function optionsFor(purpose: Purpose): RedisOptions {
  const common: RedisOptions = { retryStrategy: backOff, reconnectOnError: resendWhenReadOnly, connectTimeout: 2000 }
  switch (purpose) {
    case 'requests':
      // A caller learns within two seconds that Redis is away; one retry hides a reconnect.
      return { ...common, commandTimeout: COMMAND_TIMEOUT_MS, maxRetriesPerRequest: 1 }
    case 'subscriber':
      return { ...common, maxRetriesPerRequest: null, autoResubscribe: false }
    case 'jobs':
      return { ...common, maxRetriesPerRequest: null } // BullMQ insists.
  }
}

/** In Cluster the cluster itself retries and reconnects. */
function nodeOptions(purpose: Purpose): Omit<RedisOptions, 'retryStrategy'> {
  const { retryStrategy: _, ...options } = optionsFor(purpose)
  return options
}

/** After a failover the old master answers READONLY: reconnect, which finds the new one, and send it again. */
function resendWhenReadOnly(error: Error): 2 | false {
  return error.message.startsWith('READONLY') ? 2 : false
}

function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), 1000) * (0.5 + Math.random() / 2)
}

/** Without a listener every failed attempt to connect would be printed; each command reports its own failure. */
function quiet<T extends Client>(client: T): T {
  client.on('error', () => {})
  return client
}

function hostAndPort(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text)
  if (match === null) throw new SetupError('REDIS_URL: a host is not of the form host or host:port')
  return { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? defaultPort : Number(match[3]) }
}

function credentialsOf(userInfo: string | undefined): RedisOptions {
  if (userInfo === undefined || userInfo === '') return {}
  const colon = userInfo.indexOf(':')
  if (colon < 0) return { password: decodeURIComponent(userInfo) }
  const username = decodeURIComponent(userInfo.slice(0, colon))
  return { ...(username === '' ? {} : { username }), password: decodeURIComponent(userInfo.slice(colon + 1)) }
}
