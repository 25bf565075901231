/**
 * Looks at everything a transmitter depends on, by the same configuration that it is served with, and says what to
 * change. Reads, and changes nothing.
 */
import { join, resolve } from 'node:path'
import type { Config } from '../config.ts'
import { limitsFrom } from '../delivery/limits.ts'
import { ask } from '../embedded/endpoint.ts'
import { readEndpoint } from '../embedded/server-files.ts'
import { TransmitterError } from '../errors.ts'
import { Jobs } from '../jobs.ts'
import type { Role } from '../serve/roles.ts'
import { parseRedisUrl, type RedisTarget, singleTarget } from '../store/connection.ts'
import { KeyStore } from '../store/key-store.ts'
import { keysFor } from '../store/keys.ts'
import { ReceiverStore } from '../store/receiver-store.ts'
import { scriptsOn } from '../store/scripts.ts'
import { serverFacts } from '../store/server-facts.ts'
import { SetReader } from '../store/set-reader.ts'
import { WorkerRuns } from '../store/worker-runs.ts'
import { createLogger } from '../telemetry/logger.ts'
import { type Finding, failure, warning } from './finding.ts'
import { keyFindings } from './keys.ts'
import { listenerFindings } from './listeners.ts'
import { type Examined, receiverFindings } from './receivers.ts'
import { recountFindings } from './recount.ts'
import { redisFindings } from './redis.ts'
import { workerFindings } from './workers.ts'

export interface DoctorOptions {
  /** Those that should run on this host. */
  readonly roles: readonly Role[]
  /** To be counted the slow way, and nothing else. */
  readonly receiver: string | undefined
  /** Called with each part's findings as soon as they are there. */
  onFindings(findings: readonly Finding[]): void
  onProgress(done: number, total: number): void
}

const EMBEDDED_TIMEOUT_MS = 2000
const LIST_PAGE = 100

/** @throws {SetupError} for a REDIS_URL that is none. */
export async function examine(config: Config, options: DoctorOptions): Promise<void> {
  const tell = options.onFindings
  const target = await targetOf(config)
  if (target === undefined) {
    return tell([
      failure(
        'redis',
        `no REDIS_URL, and no embedded server runs in ${resolve(config.DATA_DIR)}`,
        'Start it with `setstream serve`, or set REDIS_URL or DATA_DIR as the transmitter has them.',
      ),
    ])
  }
  await using opened = new AsyncDisposableStack()
  try {
    const servers = await serverFacts(target)
    if (options.receiver === undefined) tell(redisFindings(servers, config.CONFIRM, config.MEMORY_HIGH_PERCENT))
  } catch (error) {
    if (!(error instanceof TransmitterError)) throw error
    return tell([
      failure(
        'redis',
        `it is not reached (${(error.cause as Error | undefined)?.message ?? error.message})`,
        'Is it running, does REDIS_URL name it, and do its password and firewall let this host in?',
      ),
    ])
  }
  const redis = target.open('requests')
  opened.defer(() => redis.disconnect())
  const keys = keysFor(config.KEY_PREFIX)
  const scripts = scriptsOn(redis)
  const reader = new SetReader(redis, scripts, keys)

  if (options.receiver !== undefined) {
    return tell(await recountFindings({ redis, keys, reader }, options.receiver, options.onProgress))
  }

  const published = await new KeyStore(redis, scripts, keys).all()
  if (options.roles.includes('internal')) {
    const dir = config.KEYS_DIR ?? join(config.DATA_DIR, 'keys')
    tell(await keyFindings({ dir, alg: config.SIGNING_ALG, published, nowMs: Date.now() }))
  }
  tell(
    await listenerFindings(
      config,
      options.roles,
      published.map(({ kid }) => kid),
    ),
  )

  const jobsConnection = target.open('jobs')
  opened.defer(() => jobsConnection.disconnect())
  const jobs = new Jobs(jobsConnection, keys, createLogger('silent'))
  opened.defer(() => jobs.close())
  const jobCounts = await jobs.counts().catch((error: Error) => {
    tell([
      warning(
        'workers: queues',
        `jobs could not be counted (${error.message})`,
        'BullMQ keeps them in Redis under {KEY_PREFIX:jobs}: may this user reach these keys, and have further connections?',
      ),
    ])
    return []
  })
  tell(workerFindings(await new WorkerRuns(redis, keys).last(), jobCounts, Date.now()))

  const examined: Examined[] = []
  const store = new ReceiverStore(redis, scripts, keys, () => {})
  let cursor: string | undefined
  do {
    const page = await store.list(LIST_PAGE, cursor)
    const counts = await Promise.all(page.items.map(({ id }) => reader.count(id)))
    page.items.forEach((receiver, i) => {
      const found = counts[i]
      if (found !== undefined) examined.push({ receiver, counts: found })
    })
    cursor = page.next
  } while (cursor !== undefined)
  tell(receiverFindings(examined, limitsFrom(config)))
}

/** @returns undefined where the embedded server is meant and does not run: the doctor starts none. */
async function targetOf(config: Config): Promise<RedisTarget | undefined> {
  if (config.REDIS_URL !== undefined) return parseRedisUrl(config.REDIS_URL)
  const endpoint = await readEndpoint({ endpoint: join(resolve(config.DATA_DIR), 'redis', 'endpoint.json') })
  if (endpoint === undefined || (await ask(endpoint, EMBEDDED_TIMEOUT_MS)) === 'absent') return undefined
  return singleTarget(endpoint)
}
