/**
 * Composes everything: configuration, resources, listeners and workers, by role; ends in good order on SIGTERM.
 * Roles share nothing but Redis, so any number of processes of any role go together (design, section 2).
 */
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { startWorkers } from '../workers/start.ts'
import { type Config, readConfig, Settings } from './config.ts'
import { Appends } from './delivery/appends.ts'
import { DeadLetters } from './delivery/dead-letters.ts'
import { HeldPolls } from './delivery/held-polls.ts'
import { KeyRetirement } from './delivery/key-retirement.ts'
import { limitsFrom, underPressure } from './delivery/limits.ts'
import { Poll } from './delivery/poll.ts'
import { PublicKeys } from './delivery/public-keys.ts'
import { Publisher } from './delivery/publish.ts'
import { Receivers } from './delivery/receivers.ts'
import { Redelivery } from './delivery/redelivery.ts'
import { Retention } from './delivery/retention.ts'
import { SetErrors } from './delivery/set-errors.ts'
import { SetLists } from './delivery/set-lists.ts'
import { Stats } from './delivery/stats.ts'
import { newToken, Tokens } from './delivery/tokens.ts'
import { embeddedAdminToken } from './embedded/admin-token.ts'
import { buildInternalApp, buildOpsApp, buildPublicApp } from './http/app.ts'
import { Load } from './http/load.ts'
import { Jobs, RETENTION_EVERY_MS } from './jobs.ts'
import { openResources } from './resources.ts'
import { banner } from './serve/banner.ts'
import { openCredentials } from './serve/credentials.ts'
import { watchKeys } from './serve/key-watch.ts'
import { isBehindProxy, listen, parseListen, requireTlsOffLoopback } from './serve/listen.ts'
import { observe } from './serve/observe.ts'
import { Startup } from './serve/readiness.ts'
import { ROLES, type Role } from './serve/roles.ts'
import { Tls, tlsFiles } from './serve/tls.ts'
import { ForeignIssuers } from './signing/foreign-issuers.ts'
import { openKeyRing } from './signing/key-ring.ts'
import { SetSigner } from './signing/sign-set.ts'
import { Arrivals } from './store/arrivals.ts'
import { confirmLevel } from './store/confirm.ts'
import { createLogger } from './telemetry/logger.ts'

/** No receiver can have its polls held longer. */
const HELD_MS_MAX = 120_000
/** A signal that comes again within this is the same one. */
const SAME_SIGNAL_MS = 1000

export { ROLES, type Role }

export interface Transmitter {
  /** Base URLs of the listeners that this process opened. */
  readonly urls: { readonly public?: string; readonly internal?: string; readonly ops: string }
  /** Ends in good order: unready, held polls answered, requests and jobs finished, connections closed. */
  stop(): Promise<void>
}

/** @throws {SetupError} in words an operator can act on. */
export async function serve(config: Config, roles: readonly Role[]): Promise<Transmitter> {
  const logger = createLogger(config.LOG_LEVEL)
  const isPublic = roles.includes('public')
  const isInternal = roles.includes('internal')
  const isWorker = roles.includes('workers')
  requireTlsOffLoopback(config, { isPublic, isInternal })
  const publicTls = isPublic ? tlsFiles(config, 'TLS') : undefined
  const internalTls = isInternal ? tlsFiles(config, 'INTERNAL_TLS') : undefined

  const opened = new AsyncDisposableStack()
  let endsAtMs = Number.POSITIVE_INFINITY
  const graceLeftMs = () => Math.max(0, Math.min(config.SHUTDOWN_GRACE_MS, endsAtMs - performance.now()))
  try {
    const resources = await openResources(config, logger)
    opened.defer(() => resources.close())
    const { sets, reader, reports, registry, epoch } = resources
    const isEmbedded = resources.embedded !== undefined
    const stored =
      isEmbedded && config.ADMIN_TOKEN === undefined ? await embeddedAdminToken(config.DATA_DIR, newToken) : undefined
    const keyRing = isInternal
      ? await openKeyRing({
          dir: config.KEYS_DIR ?? join(config.DATA_DIR, 'keys'),
          alg: config.SIGNING_ALG,
          generate: isEmbedded,
        })
      : undefined
    const signer = new SetSigner({ onTrouble: err => logger.warn({ err }, 'the signing thread ended') })
    opened.defer(() => signer.close())
    const limitsOf = limitsFrom(config)
    const jobs = new Jobs(resources.open('jobs'), resources.keys, logger)
    opened.defer(() => jobs.close())
    const heldPolls = new HeldPolls({
      perReceiverMax: config.HELD_POLLS_PER_RECEIVER,
      totalMax: config.HELD_POLLS_MAX,
    })
    const observed = await observe(config, resources, { heldPolls, jobs, limitsOf, isPublic, isWorker, logger })
    opened.defer(() => observed.close())
    const { metrics, tracing } = observed
    const publicKeys = new PublicKeys(resources.keyStore, registry)
    const startup = new Startup({
      redis: resources.redis,
      schemaKey: resources.keys.schema,
      keyRing,
      keyStore: resources.keyStore,
      epoch,
      requireConfirmable: resources.requireConfirmable,
      logger,
    })
    const retention = new Retention(
      { sets, reader, registry, limitsOf, schedule: jobs, metrics, logger },
      { retainParkedMs: config.RETAIN_PARKED_MS, retainErrorsMs: config.RETAIN_ERRORS_MS },
    )
    await startup.begin()
    if (keyRing !== undefined) {
      opened.defer(watchKeys({ keyRing, keyStore: resources.keyStore, registry, audit: resources.audit, logger }))
    }

    const credentials = openCredentials(config, resources, config.ADMIN_TOKEN ?? stored?.token, logger)
    opened.defer(() => credentials.close())
    const load = new Load({ lagMaxMs: config.EVENT_LOOP_LAG_MAX_MS, heapMaxPercent: config.HEAP_MAX_PERCENT })
    opened.defer(() => load.stop())
    const serverLimits = {
      headerTimeoutMs: config.HEADER_TIMEOUT_MS,
      bodyTimeoutMs: config.BODY_TIMEOUT_MS,
      connectionsMax: config.CONNECTIONS_MAX,
      stalledMs: HELD_MS_MAX + config.WRITE_TIMEOUT_MS,
      tls: undefined,
    }
    const { authenticator, refusals, proxies } = credentials
    const shared = { logger, readiness: startup, authenticator, refusals, load, registry, metrics }
    const openTls = async (files: typeof publicTls) => {
      if (files === undefined) return undefined
      const tls = await Tls.open(files, logger)
      opened.defer(() => tls.stop())
      observed.follow(files.name === 'TLS' ? 'public' : 'internal', tls)
      return tls
    }
    const apps: FastifyInstance[] = []
    const urls: { public?: string; internal?: string; ops: string } = { ops: '' }
    opened.defer(async () => {
      const force = setTimeout(() => {
        logger.warn('requests did not end within the grace period and are cut off')
        for (const app of apps) app.server.closeAllConnections()
      }, graceLeftMs())
      await Promise.all(apps.map(app => app.close())).finally(() => clearTimeout(force))
    })

    if (isPublic) {
      const arrivals = new Arrivals(resources.target, resources.keys, {
        onArrival: receiver => heldPolls.wake(receiver),
        onResubscribed: receivers => void heldPolls.wakeAll(receivers),
      })
      opened.defer(() => arrivals.close())
      const tls = await openTls(publicTls)
      // A poll held under the old settings looks again under the new ones.
      registry.onChange(({ kind, id }) => {
        if (kind === 'receiver') heldPolls.wake(id)
      })
      const poll = new Poll(
        { sets, registry, arrivals, heldPolls, limitsOf, schedule: jobs, metrics, tracing, logger },
        { pageBytesMax: config.PAGE_BYTES_MAX, idlePollsMax: config.RATE_LIMIT_POLL },
      )
      const build = () =>
        buildPublicApp(
          {
            ...shared,
            transport: { proxies, isBehindProxy: isBehindProxy(config) },
            poll,
            writeTimeoutMs: config.WRITE_TIMEOUT_MS,
            jwks: () => publicKeys.document(),
          },
          { ...serverLimits, bodyBytesMax: config.BODY_BYTES_MAX, tls: tls?.options('asked') },
        )
      urls.public = await listen(build, apps, 'PUBLIC_LISTEN', parseListen(config.PUBLIC_LISTEN), tls)
    }
    if (isInternal && keyRing !== undefined) {
      const tls = await openTls(internalTls)
      const publishLimitsOf = underPressure(limitsOf, receiver => resources.memory.bytesMaxOf(receiver))
      // What replicas confirm goes over connections of its own: a poll sent behind such an append could come before it. And
      // the client of a cluster drops what is answered late: with the append, a poll behind it would be, and keep its SETs.
      const isConfirmedApart = typeof confirmLevel(config.CONFIRM) === 'object'
      const wokenBehindAppends = isConfirmedApart || resources.target.kind === 'cluster' ? undefined : heldPolls
      const appends = new Appends(sets, wokenBehindAppends)
      const publisher = new Publisher(
        {
          appends,
          registry,
          keys: keyRing,
          signer,
          limitsOf: publishLimitsOf,
          metrics,
          tracing,
          startup,
        },
        {
          issuer: config.ISSUER,
          setBytesMax: config.SET_BYTES_MAX,
          deliveriesPerCallMax: config.DELIVERIES_PER_CALL_MAX,
        },
      )
      const build = () =>
        buildInternalApp(
          {
            ...shared,
            publisher,
            foreign: {
              appends,
              registry,
              limitsOf: publishLimitsOf,
              metrics,
              tracing,
              issuer: config.ISSUER,
              setBytesMax: config.SET_BYTES_MAX,
              publicKeys: () => publicKeys.records(),
              foreignIssuers: new ForeignIssuers(config.FOREIGN_ISSUERS),
            },
            receivers: new Receivers({ store: resources.receivers, registry, keys: keyRing, retention }),
            tokens: new Tokens({ store: resources.tokens, registry }),
            lists: new SetLists(reader, reports),
            deadLetters: new DeadLetters({ sets, reader, registry, limitsOf, metrics }),
            stats: new Stats({ reader, receivers: resources.receivers, registry, held: observed.held }),
            audit: resources.audit,
            proxies,
            publicUrl: () => publicBase(config, urls.public),
            boards: jobs.boards(),
          },
          { ...serverLimits, bodyBytesMax: config.PUBLISH_BODY_BYTES_MAX, tls: tls?.options('required') },
        )
      urls.internal = await listen(build, apps, 'INTERNAL_LISTEN', parseListen(config.INTERNAL_LISTEN), tls)
    }
    const buildOps = () => buildOpsApp(shared, { ...serverLimits, bodyBytesMax: 1024 })
    urls.ops = await listen(buildOps, apps, 'OPS_LISTEN', parseListen(config.OPS_LISTEN), undefined)

    if (isWorker) {
      const workers = startWorkers({
        connection: resources.open('jobs'),
        keys: resources.keys,
        logger,
        redelivery: new Redelivery({ sets, registry, limitsOf, schedule: jobs, metrics, logger }),
        retention,
        keyRetirement: new KeyRetirement({ keyStore: resources.keyStore, registry, reader, logger }),
        setErrors: new SetErrors({ reports, metrics, logger }),
        runs: observed.runs,
      })
      // Half of what is left: the requests under way are answered after them.
      opened.defer(() => workers.close(graceLeftMs() / 2))
      jobs
        .keepRetention(retentionEveryMs(config))
        .catch(error => logger.warn({ err: error }, 'retention is not scheduled yet'))
    }
    if (isPublic && isBehindProxy(config) && !proxies.isConfigured) {
      logger.warn('ALLOW_PLAIN_HTTP is set without TRUST_PROXY: what comes past the proxy cannot be told apart')
    }
    observed.start()
    logger.info({ roles, ...urls }, 'listening')
    if (stored !== undefined && urls.public !== undefined && urls.internal !== undefined) {
      process.stderr.write(
        banner({ publicUrl: urls.public, internalUrl: urls.internal, opsUrl: urls.ops, adminTokenFile: stored.path }),
      )
    }

    return {
      urls,
      async stop() {
        logger.info({ heldPolls: heldPolls.count }, 'stopping')
        startup.drain()
        endsAtMs = performance.now() + config.DRAIN_DELAY_MS + config.SHUTDOWN_GRACE_MS
        await new Promise(resolve => setTimeout(resolve, config.DRAIN_DELAY_MS))
        // About a thousand a second: each comes back at once, to another process.
        await heldPolls.drain(Math.min(heldPolls.count, config.SHUTDOWN_GRACE_MS / 2))
        await opened.disposeAsync()
        logger.info('stopped')
      },
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** Runs until a signal to end; a second one ends the process at once. */
export async function runServe(roles: readonly Role[]): Promise<void> {
  const config = readConfig(process.env)
  const transmitter = await serve(config, roles)
  await signalToEnd()
  await transmitter.stop()
  process.exit(0)
}

function signalToEnd(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let firstMs: number | undefined
  const onSignal = () => {
    firstMs ??= performance.now()
    // One Ctrl-C comes twice, from the terminal and from npm: only what comes later was meant as a second.
    if (performance.now() - firstMs > SAME_SIGNAL_MS) process.exit(1)
    resolve()
  }
  // A closed terminal ends it too, or the embedded server would stay behind.
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, onSignal)
  return promise
}

function publicBase(config: Config, listening: string | undefined): string {
  if (config.PUBLIC_URL !== undefined) return config.PUBLIC_URL
  // Nobody named the transmitter: where it really listens is worth more than a default that may be another port.
  return config.ISSUER === Settings.properties.ISSUER.default && listening !== undefined ? listening : config.ISSUER
}

function retentionEveryMs(config: Config): number {
  const shortest = Math.min(
    ...[config.EXPIRE_AFTER_MS, config.RETAIN_ACKED_MS].filter(ms => ms > 0),
    Number.MAX_SAFE_INTEGER,
  )
  return Math.min(RETENTION_EVERY_MS.max, Math.max(RETENTION_EVERY_MS.min, Math.floor(shortest / 2)))
}
