/**
 * A request's own logger, made when it first logs. Nearly no request does, and a child logger for each, with its bindings
 * written out, showed in the profile of a poll and in the memory of a held one.
 */
import type { Bindings, ChildLoggerOptions, LogFn, Logger } from 'pino'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

export class RequestLog implements Record<(typeof LEVELS)[number], LogFn> {
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

  get trace(): LogFn {
    return this.#own('trace')
  }

  get debug(): LogFn {
    return this.#own('debug')
  }

  get info(): LogFn {
    return this.#own('info')
  }

  get warn(): LogFn {
    return this.#own('warn')
  }

  get error(): LogFn {
    return this.#own('error')
  }

  get fatal(): LogFn {
    return this.#own('fatal')
  }

  silent(): void {}

  child(bindings: Bindings, options?: ChildLoggerOptions): Logger {
    return this.#made().child(bindings, options)
  }

  #own(level: (typeof LEVELS)[number]): LogFn {
    const child = this.#made()
    return child[level].bind(child)
  }

  #made(): Logger {
    this.#child ??= this.#parent.child(this.#bindings, this.#options)
    return this.#child
  }
}
