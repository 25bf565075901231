/** For programs whose exit code 1 says what they found: with options that are none, and in the help, they end otherwise. */
import type { CommanderError } from 'commander'

export function endForUsage({ exitCode }: CommanderError): never {
  process.exit(exitCode === 0 ? 0 : 2)
}
