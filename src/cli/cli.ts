/** What every subcommand is given, and how it fails. */
import type { Command } from 'commander'

export interface Cli {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** Adds one subcommand to the program. */
export type Register = (program: Command, cli: Cli) => void

/** A failure that a person can do something about: what happened and why, then what to do. Exit code 1. */
export class CliError extends Error {
  override readonly name: string = 'CliError'
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** The command was not used as it is meant to be. Exit code 2. */
export class UsageError extends CliError {
  override readonly name = 'UsageError'
}

/**
 * A signal for work that goes on until it is interrupted: Ctrl-C and SIGTERM end it in good order, and a second one ends
 * the process the usual way.
 */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}
