/**
 * Failures a caller may be told about. Every other error is a bug and becomes a bare 500.
 * `detail` is written by us and never holds input; `cause` goes to the log and never to the caller.
 */
export type FailureCode =
  | 'bad_request'
  | 'unauthenticated'
  | 'token_invalid'
  | 'forbidden'
  | 'insecure_transport'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'too_large'
  | 'media_type_unsupported'
  | 'coding_unsupported'
  | 'backlog_full'
  | 'rate_limited'
  | 'store_unavailable'
  | 'issuer_unavailable'
  | 'overloaded'
  | 'internal'

/** One fault of an input: where (a JSON pointer, or the name of a parameter) and what, without the value. */
export interface Fault {
  readonly at: string
  readonly message: string
}

export interface FailureOptions {
  readonly faults?: readonly Fault[]
  /** Seconds after which the same call may succeed; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number
  /** Members that stand beside the problem in its body, such as the deliveries of a partly taken publish. */
  readonly extra?: Readonly<Record<string, unknown>>
  /** Parameters that follow the realm in `WWW-Authenticate` (RFC 6750 §3). */
  readonly challenge?: string
  readonly cause?: unknown
}

/**
 * What strangers may be told as often as they ask: made without a trace of the stack, which would cost as much as all else
 * that is done to refuse a request, and says nothing that the code does not.
 */
const UNTRACED: ReadonlySet<FailureCode> = new Set([
  'unauthenticated',
  'token_invalid',
  'forbidden',
  'insecure_transport',
  'not_found',
  'method_not_allowed',
  'rate_limited',
  'overloaded',
])

export class TransmitterError extends Error {
  readonly code: FailureCode
  readonly faults: readonly Fault[]
  readonly retryAfterSeconds: number | undefined
  readonly extra: Readonly<Record<string, unknown>>
  readonly challenge: string | undefined

  constructor(code: FailureCode, detail: string, options: FailureOptions = {}) {
    const { stackTraceLimit } = Error
    const isTraced = !UNTRACED.has(code)
    if (!isTraced) Error.stackTraceLimit = 0
    super(detail, options.cause === undefined ? {} : { cause: options.cause })
    if (!isTraced) Error.stackTraceLimit = stackTraceLimit
    this.name = 'TransmitterError'
    this.code = code
    this.faults = options.faults ?? []
    this.retryAfterSeconds = options.retryAfterSeconds
    this.extra = options.extra ?? {}
    this.challenge = options.challenge
  }
}

/** A fault of how the process was set up: printed as it is, without a stack, and exit code 2. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}
