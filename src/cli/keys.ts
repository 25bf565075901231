/** `setstream keys`: the signing keys in KEYS_DIR. Running processes notice by themselves. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { readConfig } from '../config.ts'
import { SIGNING_ALGS, type SigningAlg } from '../signing/algorithms.ts'
import { deleteRetiredKey, generateKey, listKeys, retireKey, rotateKey } from '../signing/key-lifecycle.ts'
import type { PublicKeyRecord } from '../signing/key-record.ts'
import type { Cli, Register } from './cli.ts'
import { confirm } from './confirm.ts'
import { type Column, print, printJson, table, time } from './output.ts'

interface KeyOptions {
  readonly keysDir?: string
  readonly json?: boolean
}

interface AlgOptions extends KeyOptions {
  readonly alg?: SigningAlg
  readonly force?: boolean
}

export const registerKeys: Register = (program, cli) => {
  const keys = program.command('keys').description('signing keys: next, current, retired')

  local(keys.command('list'))
    .description('all keys in the directory')
    .action(async (options: KeyOptions) => show(cli, options, await listKeys(dirOf(cli, options))))

  algorithm(local(keys.command('generate')))
    .description('make the next key; receivers learn it before it signs')
    .action(async (options: AlgOptions) => {
      const key = await generateKey(dirOf(cli, options), algOf(cli, options), Date.now())
      await show(cli, options, [key])
      if (key.state === 'next')
        await print(cli.stderr, 'Sign with it by `setstream keys rotate`, once receivers had time to learn it.')
    })

  algorithm(local(keys.command('rotate')))
    .description('sign with the next key; the one before still verifies')
    .option('--force', 'even if receivers may not know it yet, as when the current key is compromised')
    .action(async (options: AlgOptions) => {
      const force = options.force === true
      const dir = dirOf(cli, options)
      const { current, retired } = await rotateKey({ dir, alg: algOf(cli, options), nowMs: Date.now(), force })
      await show(cli, options, retired === undefined ? [current] : [current, retired])
    })

  local(keys.command('retire <kid>'))
    .description('sign with this key no more')
    .option('--force', 'even if nothing is left to sign with for its algorithm')
    .action(async (kid: string, options: AlgOptions) => {
      const key = await retireKey(dirOf(cli, options), kid, Date.now(), options.force === true)
      await show(cli, options, [key])
    })

  local(keys.command('delete <kid>'))
    .description('delete the private key of a retired key')
    .option('-y, --yes', 'do not ask')
    .action(async (kid: string, options: KeyOptions & { yes?: boolean }) => {
      await confirm(cli, `Delete the private key ${kid}?`, options.yes)
      await deleteRetiredKey(dirOf(cli, options), kid)
      if (!options.json) await print(cli.stdout, `Deleted ${kid}.`)
    })
}

function local(command: Command): Command {
  return command.option('--keys-dir <path>', 'where the keys are (KEYS_DIR)').option('--json', 'JSON, one value a line')
}

function algorithm(command: Command): Command {
  return command.addOption(new Option('--alg <alg>', 'algorithm (SIGNING_ALG)').choices([...SIGNING_ALGS]))
}

function dirOf(cli: Cli, options: KeyOptions): string {
  if (options.keysDir !== undefined) return options.keysDir
  const config = readConfig(cli.env)
  return config.KEYS_DIR ?? join(config.DATA_DIR, 'keys')
}

function algOf(cli: Cli, options: AlgOptions): SigningAlg {
  return options.alg ?? readConfig(cli.env).SIGNING_ALG
}

const columns: readonly Column<PublicKeyRecord>[] = [
  { title: 'KID', value: key => key.kid },
  { title: 'ALG', value: key => key.alg },
  {
    title: 'STATE',
    value: key => key.state,
    style: key => (key.state === 'current' ? 'green' : key.state === 'retired' ? 'dim' : undefined),
  },
  { title: 'MADE', value: key => time(key.createdAtMs) },
  { title: 'CURRENT SINCE', value: key => time(key.currentSinceMs) },
  { title: 'RETIRED', value: key => time(key.retiredAtMs) },
]

async function show(cli: Cli, options: KeyOptions, keys: readonly PublicKeyRecord[]): Promise<void> {
  if (options.json) {
    for (const key of keys) await printJson(cli.stdout, key)
  } else if (keys.length > 0) {
    await print(cli.stdout, table(cli.stdout, columns, keys))
  } else {
    await print(cli.stderr, 'No keys yet. Make one with `setstream keys generate`.')
  }
}
