/** Opens what lives as long as the process; `close()` undoes it in reverse order. Nothing here waits for Redis. */
import type { Config } from './config.ts'
import { type EmbeddedRedis, startEmbeddedRedis } from './embedded/server.ts'
import { AuditStore } from './store/audit-store.ts'
import { confirmLevel, requireFsync } from './store/confirm.ts'
import { ConfirmedScripts } from './store/confirmed-scripts.ts'
import {
  type Client,
  type Purpose,
  parseRedisUrl,
  prepared,
  type RedisTarget,
  singleTarget,
} from './store/connection.ts'
import { Epoch } from './store/epoch.ts'
import { KeyStore } from './store/key-store.ts'
import { type Keys, keysFor } from './store/keys.ts'
import { MemoryPressure } from './store/memory-pressure.ts'
import { ReceiverStore } from './store/receiver-store.ts'
import { Registry } from './store/registry.ts'
import { ReportStore } from './store/report-store.ts'
import { type Scripts, scriptsOn } from './store/scripts.ts'
import { SetReader } from './store/set-reader.ts'
import { SetStore } from './store/set-store.ts'
import { TokenStore } from './store/token-store.ts'
import type { Logger } from './telemetry/logger.ts'

export interface Resources {
  readonly embedded: EmbeddedRedis | undefined
  readonly target: RedisTarget
  readonly keys: Keys
  readonly redis: Client
  readonly scripts: Scripts
  readonly sets: SetStore
  readonly reader: SetReader
  readonly reports: ReportStore
  readonly receivers: ReceiverStore
  readonly tokens: TokenStore
  readonly keyStore: KeyStore
  readonly audit: AuditStore
  readonly epoch: Epoch
  readonly registry: Registry
  /** Those that stand as long as the process. */
  readonly connections: readonly { readonly purpose: Purpose; readonly client: Client }[]
  readonly memory: MemoryPressure
  /** @throws {SetupError} where Redis cannot keep what CONFIRM promises. */
  requireConfirmable(): Promise<void>
  /** A connection that is closed with the rest. */
  open(purpose: 'jobs'): Client
  close(): Promise<void>
}

export async function openResources(config: Config, logger: Logger): Promise<Resources> {
  const opened = new AsyncDisposableStack()
  const embedded = config.REDIS_URL === undefined ? await startEmbedded(config, logger) : undefined
  if (embedded !== undefined) opened.defer(() => embedded.stop())
  const target = embedded === undefined ? parseRedisUrl(config.REDIS_URL ?? '') : singleTarget(embedded.endpoint)
  const keys = keysFor(config.KEY_PREFIX)
  const connections: { purpose: Purpose; client: Client }[] = []
  const open = (purpose: Purpose) => {
    const client = target.open(purpose)
    connections.push({ purpose, client })
    opened.defer(() => client.disconnect())
    // BullMQ makes connections of this one, and closes them only while Redis is there.
    const duplicate = client.duplicate.bind(client) as (...options: []) => Client
    client.duplicate = ((...options: []) => {
      const copy = prepared(duplicate(...options))
      opened.defer(() => copy.disconnect())
      return copy
    }) as never
    return client
  }
  const redis = open('requests')
  // A client of a cluster has a connection to each of its nodes already.
  const scripts = target.kind === 'cluster' ? scriptsOn(redis) : scriptsOn(redis, [redis, open('requests')])
  const level = confirmLevel(config.CONFIRM)
  const confirmed = typeof level === 'object' ? new ConfirmedScripts(target, level.replicas) : undefined
  opened.defer(() => confirmed?.close())
  const receivers = new ReceiverStore(redis, scripts, keys, (receiver, error) =>
    logger.error({ receiver, err: error }, 'the record of a receiver cannot be read, and is passed over'),
  )
  const tokens = new TokenStore(redis, scripts, keys)
  const epoch = new Epoch(redis, keys)
  const registry = new Registry(receivers, tokens, epoch)
  registry.start()
  opened.defer(() => registry.stop())
  return {
    embedded,
    target,
    keys,
    redis,
    scripts,
    connections,
    sets: new SetStore(scripts, keys, confirmed),
    reader: new SetReader(redis, scripts, keys),
    reports: new ReportStore(redis, keys),
    receivers,
    tokens,
    keyStore: new KeyStore(redis, scripts, keys),
    audit: new AuditStore(redis, keys),
    epoch,
    registry,
    memory: new MemoryPressure({
      target,
      redis,
      keys,
      highPercent: config.MEMORY_HIGH_PERCENT,
      receivers: () => registry.every(),
    }),
    requireConfirmable: async () => (level === 'fsynced' ? requireFsync(target) : undefined),
    open,
    close: () => opened.disposeAsync(),
  }
}

function startEmbedded(config: Config, logger: Logger): Promise<EmbeddedRedis> {
  return startEmbeddedRedis({
    dataDir: config.DATA_DIR,
    binary: config.REDIS_SERVER_BIN,
    appendfsync: config.CONFIRM === 'fsynced' ? 'always' : 'everysec',
    log: line => logger.info(line),
  })
}
