/**
 * Structured logs. What may hold a secret or a subject is never passed to the logger; the redaction below is the second
 * line of defence, not the first.
 */
import { type Logger, pino, stdTimeFunctions } from 'pino'

export type { Logger } from 'pino'

export function createLogger(level: string): Logger {
  return pino({
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    redact: {
      paths: ['req.headers', '*.headers', '*.authorization', '*.token', '*.set', '*.body'],
      censor: '[redacted]',
    },
  })
}

interface DescribedError {
  readonly type: string
  readonly message: string
  readonly code?: unknown
  readonly stack?: string | undefined
  readonly cause?: DescribedError
}

/** What an error says, and not what libraries hang on it: ioredis keeps the arguments of a command, which are SETs. */
function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an error' }
  const { code } = error as NodeJS.ErrnoException
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  }
}
