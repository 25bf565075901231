/** The three listeners' applications: plugins and routes, never listening. Receivers only ever see the public one. */
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  fastify,
  LogController,
} from 'fastify'
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
import { errorHandler, renderPollFailure, renderProblem } from './error-handler.ts'
import { answerNotFound } from './not-found.ts'
import { auditActs, auditRoute } from './routes/audit.ts'
import { type EventRoutesOptions, eventRoutes } from './routes/events.ts'
import { healthRoutes, type Readiness } from './routes/health.ts'
import { jwksRoute } from './routes/jwks.ts'
import { metricsRoute } from './routes/metrics.ts'
import { pollRoute } from './routes/poll.ts'
import { receiverRoutes } from './routes/receivers.ts'
import { setRoutes } from './routes/sets.ts'
import { statsRoutes } from './routes/stats.ts'
import { tokenRoutes } from './routes/tokens.ts'

export interface ServerLimits {
  readonly bodyBytesMax: number
  readonly headerTimeoutMs: number
  readonly bodyTimeoutMs: number
}

export interface PublicDependencies {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly authenticator: Authenticator
  readonly registry: Registry
  readonly poll: Poll
  readonly writeTimeoutMs: number
  jwks(): Promise<string>
}

export interface InternalDependencies extends EventRoutesOptions {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly authenticator: Authenticator
  readonly receivers: Receivers
  readonly tokens: Tokens
  readonly lists: SetLists
  readonly deadLetters: DeadLetters
  readonly stats: Stats
  readonly audit: AuditStore
  readonly publicUrl: () => string
}

export interface OpsDependencies {
  readonly logger: Logger
  readonly readiness: Readiness
  readonly metrics: Metrics
}

export function buildPublicApp(deps: PublicDependencies, limits: ServerLimits): FastifyInstance {
  const app = fastify(optionsFor(deps.logger, limits))
  app.decorateRequest('caller', undefined)
  takeRawJson(app)
  noStore(app)
  answerNotFound(app)
  app.setErrorHandler(errorHandler(renderPollFailure))
  // The poll parser checks bodies itself, and answers are written by hand; the schemas are documentation.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.register(pollRoute, deps)
  app.register(jwksRoute, deps)
  app.register(healthRoutes, deps)
  return app
}

export function buildInternalApp(deps: InternalDependencies, limits: ServerLimits): FastifyInstance {
  const app = fastify(optionsFor(deps.logger, limits))
  app.decorateRequest('caller', undefined)
  takeJson(app)
  noStore(app)
  answerNotFound(app)
  app.setErrorHandler(errorHandler(renderProblem))
  app.register(healthRoutes, deps)
  app.register(async authenticated => {
    authenticated.addHook('onRequest', async request => {
      request.caller = await deps.authenticator.identify(request)
    })
    authenticated.addHook('onRequest', refuseCoding)
    auditActs(authenticated, deps.audit)
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
  const app = fastify(optionsFor(deps.logger, limits))
  noStore(app)
  answerNotFound(app)
  app.setErrorHandler(errorHandler(renderProblem))
  app.register(metricsRoute, deps)
  app.register(healthRoutes, deps)
  return app
}

function optionsFor(logger: Logger, limits: ServerLimits): FastifyServerOptions {
  return {
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.headerTimeoutMs + limits.bodyTimeoutMs,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: 2048 },
    http: { headersTimeout: limits.headerTimeoutMs, connectionsCheckingInterval: 1000 },
  } as FastifyServerOptions
}

/** On every answer, errors included: a cached one would replay settled SETs (P-192). A route may say otherwise. */
function noStore(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
