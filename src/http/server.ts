/** How a listener's HTTP server is made: its limits in time and number, TLS, and answers to what is not HTTP. */

import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  fastify,
  LogController,
} from 'fastify'
import type { Bindings, ChildLoggerOptions } from 'pino'
import { TransmitterError } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { RequestLog } from '../telemetry/request-log.ts'
import { RequestMessage } from './request-message.ts'

export interface ServerLimits {
  readonly bodyBytesMax: number
  readonly headerTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly connectionsMax: number
  /** A connection on which nothing moved for so long is closed; longer than any poll may be held. */
  readonly stalledMs: number
  /** Absent: plain HTTP. */
  readonly tls: ServerOptions | undefined
}

/** Longer than the 60 s of common balancers, which must not find a connection closed that they are about to use. */
const KEEP_ALIVE_MS = 72_000
/** What Node.js adds to it for its own part, so that a client which was told the time does not meet a closed connection. */
const KEEP_ALIVE_BUFFER_MS = 1000
/** Of clients that were refused. */
const REFUSED_KEEP_ALIVE_MS = 5000
const CHECK_EVERY_MS = 1000

/** @param onError the application's error handler, for what Fastify refuses before it has found a route. */
export function createApp(
  logger: Logger,
  limits: ServerLimits,
  onError: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => unknown,
): FastifyInstance {
  const http = {
    IncomingMessage: RequestMessage,
    headersTimeout: limits.headerTimeoutMs,
    connectionsCheckingInterval: CHECK_EVERY_MS,
    // Node.js refuses what is without Host by itself, in an answer that a cache may keep: ours below may not.
    requireHostHeader: false,
  }
  const options = {
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent: FastifyBaseLogger, bindings: Bindings, options: ChildLoggerOptions) =>
      new RequestLog(parent as Logger, bindings, options),
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.headerTimeoutMs + limits.bodyTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: limits.stalledMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: 2048 },
    frameworkErrors: onError,
    clientErrorHandler: answerClientError,
    // Neither name is a header that clients may set.
    requestIdHeader: false,
    genReqId: requestIds(),
    ...(limits.tls === undefined
      ? { http }
      : { https: { ...http, ...limits.tls, handshakeTimeout: limits.headerTimeoutMs } }),
  }
  const app = fastify(options as FastifyServerOptions)
  app.setErrorHandler(onError)
  app.addHook('onRequest', requireHost)
  if (logger.isLevelEnabled('debug')) logRequests(app)
  app.server.on('checkExpectation', refuseExpectation)
  app.server.maxConnections = limits.connectionsMax
  return app
}

/** Unlike those of any other process, so that a line of a log is found by the id that its answer carried. */
function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}

/** By their route and not by their path, which may hold anything: a token by mistake, or what a stranger made up. */
function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request
    request.log.debug(
      { method, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    )
  })
}

/** RFC 9112 §3.2. */
function requireHost({ headers, raw }: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const isNamed = headers.host !== undefined || raw.httpVersion === '1.0'
  done(isNamed ? undefined : new TransmitterError('bad_request', 'The request names no host.'))
}

/** Anything but 100-continue. RFC 9110 §10.1.1. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(417, { 'cache-control': 'no-store', connection: 'close', 'content-length': 0 }).end()
}

/** Once the answer is out, and only if the connection is idle then: a further request may be under way on it. */
export function closeSoonWhenIdle({ socket }: FastifyRequest, { raw }: FastifyReply): void {
  // The server's own listener came first; it sets the time of idle connections, and a second on top, on those alone.
  raw.once('finish', () => {
    if (socket.timeout === KEEP_ALIVE_MS + KEEP_ALIVE_BUFFER_MS) socket.setTimeout(REFUSED_KEEP_ALIVE_MS)
  })
}

/** What is not HTTP, or took too long to become a request: answered without a word about what it was. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) {
    const status =
      error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : error.code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request'
    socket.write(`HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  }
  socket.destroy()
}
