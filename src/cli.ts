#!/usr/bin/env node
/** The `setstream` command: one file a subcommand under cli/, each a thin caller. */
import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { registerAudit } from './cli/audit.ts'
import { type Cli, CliError, UsageError } from './cli/cli.ts'
import { registerCompletion } from './cli/completion.ts'
import { registerDoctor } from './cli/doctor.ts'
import { registerKeys } from './cli/keys.ts'
import { paint, printable } from './cli/output.ts'
import { registerParked } from './cli/parked.ts'
import { registerPoll } from './cli/poll.ts'
import { registerPublish } from './cli/publish.ts'
import { registerReceivers } from './cli/receivers.ts'
import { registerReplay } from './cli/replay.ts'
import { registerServe } from './cli/serve.ts'
import { registerSets } from './cli/sets.ts'
import { registerStatus } from './cli/status.ts'
import { registerTokens } from './cli/tokens.ts'
import { SetupError } from './errors.ts'

const cli: Cli = { env: process.env, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr }

// Takes the arguments out of the list of processes: one of them may be a token.
if (process.argv.some(argument => argument.startsWith('--token'))) process.title = 'setstream'

// `setstream … | head` ends when head does.
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  process.exit(0)
})

const { version } = createRequire(import.meta.url)('setstream/package.json') as { version: string }
const program = new Command('setstream')
  .description('Transmitter of Security Event Tokens, fetched by polling.')
  .version(version)
  .exitOverride()
  .showHelpAfterError('(--help shows how it is used)')

for (const register of [
  registerServe,
  registerReceivers,
  registerTokens,
  registerPublish,
  registerPoll,
  registerStatus,
  registerSets,
  registerParked,
  registerReplay,
  registerAudit,
  registerKeys,
  registerDoctor,
  registerCompletion,
]) {
  register(program, cli)
}

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** @returns the exit code: 1 for what failed, 2 for what was used or set up wrongly. */
function report(error: unknown): number {
  // Commander has printed its message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof SetupError) {
    process.stderr.write(`setstream: ${error.message}\n`)
    return 2
  }
  if (error instanceof CliError) {
    const lines = [error.message, ...(error.hint === undefined ? [] : [error.hint])].flatMap(text => text.split('\n'))
    process.stderr.write(`${paint(process.stderr, 'red', 'setstream:')} ${lines.map(printable).join('\n')}\n`)
    return error instanceof UsageError ? 2 : 1
  }
  throw error
}
