/**
 * Structured logs: one JSON object a line on standard output. What may hold a secret or a subject is never passed to the
 * logger; the redaction below is the second line of defence, not the first.
 *
 * `error`: somebody has to look. `warn`: it may become that, or SETs were parked. `info`: what changed. `debug`: every
 * request, and what mends itself.
 */
import { createRequire } from 'node:module'
import { type DestinationStream, type LogFn, type Logger, pino, stdTimeFunctions } from 'pino'
import { LineLimit } from './line-limit.ts'

export type { Logger } from 'pino'

/** At this level and above nothing is ever left out. */
const ALWAYS = pino.levels.values.error as number

export function createLogger(level: string): Logger {
  const limit = new LineLimit()
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    redact: {
      paths: ['req.headers', '*.headers', '*.authorization', '*.token', '*.set', '*.body'],
      censor: '[redacted]',
    },
    hooks: {
      logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn, lineLevel: number) {
        const [first, second] = args as [object | string, string?]
        const message = typeof first === 'string' ? first : (second ?? '')
        const leftOut = lineLevel >= ALWAYS ? 0 : limit.pass(message, Date.now())
        if (leftOut === undefined) return
        if (leftOut === 0) method.apply(this, args)
        else method.call(this, { ...(typeof first === 'string' ? {} : first), leftOut }, message)
      },
    },
  }
  const terminal = process.stdout.isTTY ? prettyStream() : undefined
  return terminal === undefined ? pino(options) : pino(options, terminal)
}

/**
 * Lines for people, on a terminal alone. pino-pretty is there in a checkout, where people start transmitters by hand; it is
 * no dependency of what is deployed, since nobody reads a terminal there, and its lack is no fault.
 */
function prettyStream(): DestinationStream | undefined {
  try {
    const pretty = createRequire(import.meta.url)('pino-pretty') as (options: object) => DestinationStream
    return pretty({ ignore: 'pid', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true })
  } catch {
    return undefined
  }
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
