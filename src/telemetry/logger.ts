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
    redact: {
      paths: ['req.headers', '*.headers', '*.authorization', '*.token', '*.set', '*.body'],
      censor: '[redacted]',
    },
  })
}
