/** The three listeners' applications: plugins and routes, never listening. Receivers only ever see the public one. */
import type { FastifyInstance } from 'fastify'
import type { DeadLetters } from '../delivery/dead-letters.ts'
import type { Poll } from '../delivery/poll.ts'
import type { Receivers } from '../delivery/receivers.ts'
import type { SetLists } from '../delivery/set-lists.ts'
import type { Stats } from '../delivery/stats.ts'
import type { Tokens } from '../delivery/tokens.ts'
import type { AuditStore } from '../store/audit-store.ts'
import type { Registry } from '../store/registry.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Authenticator } from './authenticate.ts'
import { refuseCoding, takeJson, takeRawJson } from './bodies.ts'
import { deciding, withValue } from './deciding.ts'
import { errorHandler, renderPollFailure, renderProblem } from './error-handler.ts'
import { type Load, shedLoad } from './load.ts'
import { answerNotFound } from './not-found.ts'
import type { Proxies } from './proxies.ts'
import type { Refusals } from './rate-limit.ts'
import { countRefused } from './refused.ts'
import { auditActs, auditRoute } from './routes/audit.ts'
import { consoleRoutes } from './routes/console.ts'
import { type EventRoutesOptions, eventRoutes } from './routes/events.ts'
import { healthRoutes, type Readiness } from './routes/health.ts'
import { jwksRoute } from './routes/jwks.ts'
import { metricsRoute } from './routes/metrics.ts'
import { describeRoutes } from './routes/openapi.ts'
import { pollRoute } from './routes/poll.ts'
import { type QueueRoutesOptions, queueRoutes } from './routes/queues.ts'
import { receiverRoutes } from './routes/receivers.ts'
import { setRoutes } from './routes/sets.ts'
import { statsRoutes } from './routes/stats.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { createApp, type ServerLimits } from './server.ts'
import { requireSecureTransport, type Transport } from './transport.ts'

export type { ServerLimits } from './server.ts'

export interface PublicDependencies {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly authenticator: Authenticator
  readonly registry: Registry
  readonly refusals: Refusals
  readonly load: Pick<Load, 'isOver'>
  readonly transport: Transport
  readonly poll: Poll
  readonly writeTimeoutMs: number
  readonly metrics: Metrics
  jwks(): Promise<string>
}

export interface InternalDependencies extends EventRoutesOptions {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly authenticator: Authenticator
  readonly refusals: Refusals
  readonly load: Pick<Load, 'isOver'>
  readonly receivers: Receivers
  readonly tokens: Tokens
  readonly lists: SetLists
  readonly deadLetters: DeadLetters
  readonly stats: Stats
  readonly audit: AuditStore
  readonly proxies: Proxies
  readonly publicUrl: () => string
  readonly boards: QueueRoutesOptions['boards']
}

export interface OpsDependencies {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly metrics: Metrics
}

export function buildPublicApp(deps: PublicDependencies, limits: ServerLimits): FastifyInstance {
  const onError = errorHandler(renderPollFailure, deps.refusals)
  const app = createApp(deps.logger, limits, onError)
  app.decorateRequest('caller', undefined)
  countRefused(app, deps.metrics, 'public')
  takeRawJson(app)
  noStore(app)
  closeWhenUnready(app, deps.readiness)
  answerNotFound(app)
  describeOnly(app)
  app.register(healthRoutes, deps)
  app.register(async guarded => {
    shedLoad(guarded, deps.load)
    requireSecureTransport(guarded, deps.transport)
    guarded.register(pollRoute, deps)
    guarded.register(jwksRoute, deps)
  })
  return app
}

export function buildInternalApp(deps: InternalDependencies, limits: ServerLimits): FastifyInstance {
  const onError = errorHandler(renderProblem, deps.refusals)
  const app = createApp(deps.logger, limits, onError)
  app.decorateRequest('caller', undefined)
  countRefused(app, deps.metrics, 'internal')
  takeJson(app)
  noStore(app)
  closeWhenUnready(app, deps.readiness)
  answerNotFound(app)
  describeOnly(app)
  describeRoutes(app, deps)
  app.register(healthRoutes, deps)
  app.register(consoleRoutes)
  app.register(queueRoutes, deps)
  app.register(async authenticated => {
    shedLoad(authenticated, deps.load)
    authenticated.addHook(
      'onRequest',
      deciding(request =>
        withValue(deps.authenticator.identify(request), caller => {
          request.caller = caller
        }),
      ),
    )
    authenticated.addHook('onRequest', refuseCoding)
    auditActs(authenticated, deps.audit, deps.proxies)
    authenticated.register(eventRoutes, deps)
    authenticated.register(receiverRoutes, deps)
    authenticated.register(tokenRoutes, deps)
    authenticated.register(setRoutes, deps)
    authenticated.register(statsRoutes, deps)
    authenticated.register(auditRoute, deps)
  })
  return app
}

export function buildOpsApp(deps: OpsDependencies, limits: ServerLimits): FastifyInstance {
  const onError = errorHandler(renderProblem)
  const app = createApp(deps.logger, limits, onError)
  noStore(app)
  closeWhenUnready(app, deps.readiness)
  answerNotFound(app)
  describeOnly(app)
  app.register(metricsRoute, deps)
  app.register(healthRoutes, deps)
  return app
}

/**
 * The schemas of routes are documentation: routes check what they are sent themselves, so that every fault is named at once
 * and nothing is coerced, and what they answer is checked in tests.
 */
function describeOnly(app: FastifyInstance): void {
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
}

/** On every answer, errors included: a cached one would replay settled SETs (P-192). A route may say otherwise. */
function noStore(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
}

/** So that clients of a process that is about to end come back to another one, and not into its closing socket. */
function closeWhenUnready(app: FastifyInstance, readiness: Readiness): void {
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (!readiness.isReady()) reply.header('connection', 'close')
    done(null, payload)
  })
}
