#!/usr/bin/env node
/** The `setstream` command: one file a subcommand under cli/, each a thin caller. */
import { Command } from 'commander'
import { SetupError } from './errors.ts'

const program = new Command('setstream').description('Transmitter of Security Event Tokens, fetched by polling.')

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`setstream: ${error.message}\n`)
  process.exitCode = 2
}
