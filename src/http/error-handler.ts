/** Failure code → status and body, nowhere else. Causes go to the log and never to the caller. */

import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type FailureCode, TransmitterError } from '../errors.ts'
import { isRefusal, type Refusals } from './rate-limit.ts'
import { closeSoonWhenIdle } from './server.ts'

const statusOf = {
  bad_request: 400,
  unauthenticated: 401,
  token_invalid: 401,
  forbidden: 403,
  insecure_transport: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  media_type_unsupported: 415,
  coding_unsupported: 415,
  backlog_full: 429,
  rate_limited: 429,
  internal: 500,
  overloaded: 503,
  store_unavailable: 503,
  issuer_unavailable: 503,
} satisfies Record<FailureCode, number>

/** RFC 6750 §3: what follows the realm; nothing when no credentials were sent. A failure may say more itself. */
const challengeOf: Partial<Record<FailureCode, string>> = {
  unauthenticated: '',
  token_invalid: 'error="invalid_token"',
  forbidden: 'error="insufficient_scope"',
}

/** What Fastify itself refuses, before a route of ours has the request. */
const fastifyCodes: Readonly<Record<string, TransmitterError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new TransmitterError('media_type_unsupported', 'The media type is not supported.'),
}

export function toFailure(error: unknown): TransmitterError {
  if (error instanceof TransmitterError) return error
  const { code, statusCode } = error as Partial<FastifyError>
  const known = code === undefined ? undefined : fastifyCodes[code]
  if (known !== undefined) return known
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new TransmitterError('bad_request', 'The request is not valid.', { cause: error })
  }
  return new TransmitterError('internal', 'Something went wrong on our side.', { cause: error })
}

export interface Rendering {
  readonly type: string
  readonly body: string
  /**
   * Whether the answer carries the id that the log has of the request. Receivers get none: what they are told of a foreign
   * receiver and of an unknown one has to be the same, and ids that count up tell how much the others ask.
   */
  readonly isTraceable: boolean
}

/**
 * @param render the body of a failure; it sees no cause.
 * @param refusals counts what was refused, and answers in its stead when there was too much.
 */
export function errorHandler(render: (failure: TransmitterError, status: number) => Rendering, refusals?: Refusals) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    let failure = toFailure(error)
    if (refusals !== undefined && isRefusal(failure, request)) {
      failure = refusals.answer(failure, request)
      closeSoonWhenIdle(request, reply)
    }
    const status = statusOf[failure.code]
    if (status >= 500) {
      const level = failure.code === 'internal' ? 'error' : 'warn'
      request.log[level]({ code: failure.code, err: failure.cause ?? failure }, 'request failed')
    }
    // Also for what no route has seen, whose hooks have not run.
    reply.code(status).header('cache-control', 'no-store')
    const challenge = failure.challenge ?? challengeOf[failure.code]
    if (challenge !== undefined)
      reply.header('www-authenticate', ['Bearer realm="setstream"', challenge].filter(Boolean).join(', '))
    if (failure.code === 'coding_unsupported') reply.header('accept-encoding', 'identity')
    if (failure.retryAfterSeconds !== undefined)
      reply.header('retry-after', Math.max(1, Math.ceil(failure.retryAfterSeconds)))
    const { type, body, isTraceable } = render(failure, status)
    if (isTraceable) reply.header('x-request-id', request.id)
    return reply.type(type).send(body)
  }
}

/** The poll route: RFC 8936 leaves the body open and receivers ignore it. */
export function renderPollFailure(failure: TransmitterError): Rendering {
  const body = JSON.stringify({ err: failure.code, description: failure.message })
  return { type: 'application/json', body, isTraceable: false }
}

/** The internal interface: RFC 9457, with a stable `code` and every fault. */
export function renderProblem(failure: TransmitterError, status: number): Rendering {
  return { type: 'application/problem+json', body: JSON.stringify(problemOf(failure, status)), isTraceable: true }
}

export function problemOf(failure: TransmitterError, status = statusOf[failure.code]): Record<string, unknown> {
  return {
    ...failure.extra,
    title: STATUS_CODES[status],
    status,
    code: failure.code,
    detail: failure.message,
    ...(failure.faults.length > 0 ? { faults: failure.faults } : {}),
  }
}
