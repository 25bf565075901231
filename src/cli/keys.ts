/** `setstream keys`: the signing keys in KEYS_DIR. Running processes notice by themselves. */
import { type Command, Option } from 'commander'
import type { SigningAlg } from '../signing/algorithms.ts'
import type { Register } from './cli.ts'
import type { AlgOptions, KeyOptions } from './keys-run.ts'

const ALGS = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const satisfies readonly SigningAlg[]
// Loaded when it is used, so that the other commands start without it.
const load = () => import('./keys-run.ts')

export const registerKeys: Register = (program, cli) => {
  const keys = program.command('keys').description('signing keys: next, current, retired')

  local(keys.command('list'))
    .description('all keys in the directory')
    .action(async (options: KeyOptions) => (await load()).list(cli, options))

  algorithm(local(keys.command('generate')))
    .description('make the next key; receivers learn it before it signs')
    .action(async (options: AlgOptions) => (await load()).generate(cli, options))

  algorithm(local(keys.command('rotate')))
    .description('sign with the next key; the one before still verifies')
    .option('--force', 'even if receivers may not know it yet, as when the current key is compromised')
    .action(async (options: AlgOptions) => (await load()).rotate(cli, options))

  local(keys.command('retire <kid>'))
    .description('sign with this key no more')
    .option('--force', 'even if nothing is left to sign with for its algorithm')
    .action(async (kid: string, options: KeyOptions) => (await load()).retire(cli, kid, options))

  local(keys.command('delete <kid>'))
    .description('delete the private key of a retired key')
    .option('-y, --yes', 'do not ask')
    .action(async (kid: string, options: KeyOptions) => (await load()).remove(cli, kid, options))
}

function local(command: Command): Command {
  return command.option('--keys-dir <path>', 'where the keys are (KEYS_DIR)').option('--json', 'JSON, one value a line')
}

function algorithm(command: Command): Command {
  return command.addOption(new Option('--alg <alg>', 'algorithm (SIGNING_ALG)').choices(ALGS))
}
