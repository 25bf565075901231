/** What makes a process observable: its own counts, and its part in what all processes tell through Redis. */
import { randomBytes } from 'node:crypto'
import type { Config } from '../config.ts'
import { HeldEverywhere } from '../delivery/held-everywhere.ts'
import type { HeldPolls } from '../delivery/held-polls.ts'
import type { LimitsOf } from '../delivery/limits.ts'
import { Snapshots } from '../delivery/snapshot.ts'
import type { Jobs } from '../jobs.ts'
import type { Resources } from '../resources.ts'
import type { Client, Purpose } from '../store/connection.ts'
import { stateOf } from '../store/connection-state.ts'
import { HeldCounts } from '../store/held-counts.ts'
import { SnapshotLease } from '../store/snapshot-lease.ts'
import { SnapshotReader } from '../store/snapshot-reader.ts'
import { WorkerRuns } from '../store/worker-runs.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { openTracing, type Tracing, tracingOptions } from '../telemetry/tracing.ts'
import type { Tls } from './tls.ts'

export interface Observation {
  readonly metrics: Metrics
  /** Absent without an endpoint. */
  readonly tracing: Tracing | undefined
  readonly held: HeldEverywhere
  readonly runs: WorkerRuns
  /** The certificate of this listener is told from now on. */
  follow(listener: string, tls: Tls): void
  start(): void
  close(): Promise<void>
}

export interface ObservedParts {
  readonly heldPolls: HeldPolls
  readonly jobs: Jobs
  readonly limitsOf: LimitsOf
  readonly isPublic: boolean
  readonly isWorker: boolean
  readonly logger: Logger
}

export async function observe(config: Config, resources: Resources, parts: ObservedParts): Promise<Observation> {
  const { heldPolls, jobs, limitsOf, isPublic, isWorker, logger } = parts
  const { redis, scripts, keys, registry, reader, keyStore } = resources
  const name = randomBytes(9).toString('base64url')
  const followed = new Map<string, Tls>()
  const metrics = createMetrics({
    heldPolls: () => heldPolls.count,
    connections: () => resources.connections.map(({ purpose, client }) => ({ purpose, state: () => stateOf(client) })),
    certificates: () => new Map([...followed].map(([listener, tls]) => [listener, tls.validToMs])),
  })
  const endings: (() => void)[] = []
  for (const { purpose, client } of resources.connections) {
    metrics.redisDisconnects.inc({ purpose }, 0)
    client.on('close', () => metrics.redisDisconnects.inc({ purpose }))
  }
  for (const [purpose, all] of Map.groupBy(resources.connections, connection => connection.purpose)) {
    endings.push(
      tellOfOutages(
        all.map(({ client }) => client),
        purpose,
        logger,
      ),
    )
  }
  const tracing = await openTracing(tracingOptions(config), logger)
  const runs = new WorkerRuns(redis, keys)
  const held = new HeldEverywhere(heldPolls, new HeldCounts(redis, scripts, keys), name)
  const snapshots = new Snapshots(
    {
      lease: new SnapshotLease(redis, scripts, keys, name),
      reader: new SnapshotReader(redis, keys),
      registry,
      sets: reader,
      keyStore,
      runs,
      jobs,
      limitsOf,
      facts: metrics.facts,
      logger,
    },
    { everyMs: config.METRICS_SNAPSHOT_MS, receiversMax: config.METRICS_RECEIVERS_MAX, isFirstChoice: isWorker },
  )
  return {
    metrics,
    tracing,
    held,
    runs,
    follow: (listener, tls) => void followed.set(listener, tls),
    start() {
      snapshots.start()
      if (isPublic) held.start()
    },
    async close() {
      for (const end of endings) end()
      await Promise.all([snapshots.stop(), held.stop(), tracing?.close()])
    },
  }
}

/**
 * Once when a connection for this purpose is lost, and once when all of them are back, however many attempts lie between.
 * @returns ends it, before the connections are closed on purpose.
 */
function tellOfOutages(clients: readonly Client[], purpose: Purpose, logger: Logger): () => void {
  const lost = new Set<Client>()
  const endings = clients.map(client => {
    const onClose = () => {
      if (lost.size === 0) logger.warn({ purpose }, 'the connection to Redis is lost')
      lost.add(client)
    }
    const onReady = () => {
      if (lost.delete(client) && lost.size === 0) logger.info({ purpose }, 'the connection to Redis is back')
    }
    client.on('close', onClose).on('ready', onReady)
    return () => client.off('close', onClose).off('ready', onReady)
  })
  return () => {
    for (const end of endings) end()
  }
}
