/**
 * A request's own logger, made when it first logs. Nearly no request does, and a child logger for each, with its bindings
 * written out, showed in the profile of a poll and in the memory of a held one.
 */
import type { Bindings, ChildLoggerOptions, Logger } from 'pino'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]
/** As pino takes it: fields or a message, a message, and what stands in its places. */
type Entry = [entry: unknown, message?: unknown, ...values: unknown[]]

/** Its levels are methods and no getters: Fastify looks at each of them for every request. */
export class RequestLog implements Record<Level, (...entry: Entry) => void> {
  readonly #parent: Logger
  readonly #bindings: Bindings
  readonly #options: ChildLoggerOptions
  #child: Logger | undefined

  constructor(parent: Logger, bindings: Bindings, options: ChildLoggerOptions) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get level(): string {
    return this.#parent.level
  }

  trace(...entry: Entry): void {
    this.#write('trace', entry)
  }

  debug(...entry: Entry): void {
    this.#write('debug', entry)
  }

  info(...entry: Entry): void {
    this.#write('info', entry)
  }

  warn(...entry: Entry): void {
    this.#write('warn', entry)
  }

  error(...entry: Entry): void {
    this.#write('error', entry)
  }

  fatal(...entry: Entry): void {
    this.#write('fatal', entry)
  }

  silent(): void {}

  child(bindings: Bindings, options?: ChildLoggerOptions): Logger {
    return this.#made().child(bindings, options)
  }

  #write(level: Level, entry: Entry): void {
    const log = this.#made()
    Reflect.apply(log[level], log, entry)
  }

  #made(): Logger {
    this.#child ??= this.#parent.child(this.#bindings, this.#options)
    return this.#child
  }
}
