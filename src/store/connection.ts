/**
 * Opens connections to Redis: one server, Sentinel or Cluster, told apart by the URL (design, sections 5 and 6).
 * Opening is lazy; what goes wrong later is answered per command.
 */
import { Cluster, type Command, Redis, type RedisOptions } from 'ioredis'
import { SetupError } from '../errors.ts'
import { GatheringRedis } from './gathering-redis.ts'

export type Client = Redis | Cluster

/** What a connection is for; it decides how long a command may take and what happens while Redis is away. */
export type Purpose = 'requests' | 'jobs'

export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** A client that finds its way by itself and reconnects. */
  open(purpose: Purpose): Client
  /**
   * A connection to one server that ends when it breaks.
   * @param address `host:port` of a node of a cluster; otherwise, and without one, wherever the URL leads.
   */
  openNode(address?: string): Redis
}

/** So that a caller learns within two seconds that Redis does not answer, with what is done before and after. */
export const COMMAND_TIMEOUT_MS = 1500
const CONNECT_TIMEOUT_MS = 2000
/** Without an answer for so long a connection counts as dead: its other end may have gone without a word. */
const SILENCE_MAX_MS = { requests: 5000, jobs: 30_000 } satisfies Record<Purpose, number>
/** For what is resent after READONLY, and from then on until it is tried again. */
const READONLY_RESEND_MS = 500
const READONLY_PAUSE_MS = 2000

/** @throws {SetupError} without the URL, which may hold a password. */
export function parseRedisUrl(url: string): RedisTarget {
  const match = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null)
    throw new SetupError('REDIS_URL: not a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL')
  const [, scheme, kind = 'single', userInfo, hostList = '', path = '', queryText] = match
  const query = new URLSearchParams(queryText)
  const tls = scheme === 'rediss' || query.get('tls') === '1'
  const credentials = credentialsOf(userInfo)
  const secure: RedisOptions = tls ? { tls: {} } : {}
  if (kind === 'cluster') {
    if (path !== '') throw new SetupError('REDIS_URL: redis+cluster:// takes no path: a cluster has one database')
    const seeds = hostList.split(',').map(host => hostAndPort(host, 6379))
    return clusterTarget(seeds, { ...credentials, ...secure })
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
        ...sentinelCredentials(query),
        ...(db ? { db: databaseOf(db) } : {}),
        ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
        sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
        sentinelRetryStrategy: backOff,
      },
      'sentinel',
    )
  }
  return singleTarget({
    ...hostAndPort(hostList, 6379),
    ...credentials,
    ...secure,
    ...(path ? { db: databaseOf(path) } : {}),
  })
}

export function singleTarget(options: RedisOptions, kind: 'single' | 'sentinel' = 'single'): RedisTarget {
  return {
    kind,
    open: purpose => {
      // Requests come many at a time; the others' commands are few, and BullMQ duplicates its connections itself.
      const all = { ...options, ...optionsFor(purpose), replyMapping: 'legacy' as const }
      if (purpose === 'jobs') return prepared(new Redis(all))
      const times = { commandTimeout: COMMAND_TIMEOUT_MS, socketTimeout: SILENCE_MAX_MS.requests }
      return prepared(new GatheringRedis({ ...all, ...times }))
    },
    openNode: () => prepared(new Redis({ ...options, ...nodeOptions })),
  }
}

function clusterTarget(seeds: { host: string; port: number }[], redisOptions: RedisOptions): RedisTarget {
  let turn = 0
  return {
    kind: 'cluster',
    open(purpose) {
      const { retryStrategy: _, ...perNode } = optionsFor(purpose)
      const options = {
        redisOptions: { ...redisOptions, ...perNode, replyMapping: 'legacy' as const },
        clusterRetryStrategy: backOff,
        // The deadline of a command ends its redirections, and not their number.
        maxRedirections: 64,
        slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
        // A certificate names what the URL names, and not the address that it was found at.
        ...(redisOptions.tls === undefined ? {} : { dnsLookup: keepName }),
      }
      const cluster = prepared(new Cluster(seeds, options))
      return purpose === 'requests' ? withDeadline(cluster, COMMAND_TIMEOUT_MS) : cluster
    },
    openNode(address) {
      const node = address === undefined ? seeds[turn++ % seeds.length] : nodeAt(address)
      return prepared(new Redis({ ...redisOptions, ...node, ...nodeOptions }))
    },
  }
}

function keepName(host: string, found: (error: null, host: string) => void): void {
  found(null, host)
}

function optionsFor(purpose: Purpose): RedisOptions {
  return {
    retryStrategy: backOff,
    reconnectOnError: resendWhenReadOnly(),
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MAX_MS[purpose],
    ...(purpose === 'requests'
      ? // A caller learns within two seconds that Redis is away; one retry hides a reconnect.
        { commandTimeout: COMMAND_TIMEOUT_MS, maxRetriesPerRequest: 1 }
      : { maxRetriesPerRequest: null }), // BullMQ insists.
  }
}

const nodeOptions: RedisOptions & { replyMapping: 'legacy' } = {
  retryStrategy: null,
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  maxRetriesPerRequest: null,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  replyMapping: 'legacy',
}

/**
 * After a failover the old master answers READONLY: reconnect, which finds the new one, and send it again. Where none is
 * found the error is answered, and it is tried again a little later: a server that stays read-only is not stormed.
 */
function resendWhenReadOnly(): (error: Error) => 2 | false {
  let sinceMs = Number.NEGATIVE_INFINITY
  return error => {
    if (!error.message.startsWith('READONLY')) return false
    const nowMs = performance.now()
    if (nowMs - sinceMs > READONLY_PAUSE_MS) sinceMs = nowMs
    return nowMs - sinceMs < READONLY_RESEND_MS ? 2 : false
  }
}

/** While no node is known, ioredis keeps the commands of a cluster without the time limit that it gives a single server's. */
function withDeadline(cluster: Cluster, timeoutMs: number): Cluster {
  const send = cluster.sendCommand.bind(cluster)
  cluster.sendCommand = (command: Command, ...rest) => {
    command.setTimeout(timeoutMs)
    return send(command, ...rest)
  }
  return cluster
}

/** Doubles from 50 ms to 1 s, with up to half of it taken off, so that many processes do not come back as one. */
export function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), 1000) * (0.5 + Math.random() / 2)
}

/** What every connection needs, copies made of one included. */
export function prepared<T extends Client>(client: T): T {
  // Without a listener every failed attempt to connect would be printed; each command reports its own failure.
  client.on('error', () => {})
  return endsWhileWaiting(client)
}

/**
 * ioredis, told to disconnect while it waits for its next attempt, cancels that and then waits for a connection to close
 * that is closed already: no 'end' ever comes. BullMQ waits for one without a limit (taskforcesh/bullmq#4656).
 */
function endsWhileWaiting<T extends Client>(client: T): T {
  const disconnect = client.disconnect.bind(client)
  client.disconnect = (reconnect = false) => {
    // A cluster's nodes may end after it began to wait, which changes its status and not that it waits.
    const { reconnectTimeout } = client as unknown as { readonly reconnectTimeout?: NodeJS.Timeout | null }
    const isWaiting = client.status === 'reconnecting' || (reconnectTimeout ?? null) !== null
    disconnect(reconnect)
    if (reconnect || !isWaiting) return
    const left = client.status
    process.nextTick(() => {
      // BullMQ connects a client of a cluster anew right after this: that one is not to be ended.
      if (client.status !== left) return
      // What has not begun to connect is ended at once; nor is anything under way here any more.
      client.status = 'wait'
      disconnect()
    })
  }
  return client
}

function hostAndPort(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text)
  if (match === null) throw new SetupError('REDIS_URL: a host is not of the form host or host:port')
  return { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? defaultPort : Number(match[3]) }
}

/** As nodes write it: an IPv6 host stands without brackets. */
function nodeAt(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}

function databaseOf(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new SetupError('REDIS_URL: the path is the number of a database')
  return Number(text)
}

function credentialsOf(userInfo: string | undefined): RedisOptions {
  if (userInfo === undefined || userInfo === '') return {}
  const colon = userInfo.indexOf(':')
  if (colon < 0) return { password: decoded(userInfo) }
  const username = decoded(userInfo.slice(0, colon))
  return { ...(username === '' ? {} : { username }), password: decoded(userInfo.slice(colon + 1)) }
}

/** Sentinels have credentials of their own. */
function sentinelCredentials(query: URLSearchParams): RedisOptions {
  const username = query.get('sentinelUsername')
  const password = query.get('sentinelPassword')
  return {
    ...(username === null ? {} : { sentinelUsername: username }),
    ...(password === null ? {} : { sentinelPassword: password }),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new SetupError('REDIS_URL: the user or password is not percent-encoded as a URL demands')
  }
}
