/** `setstream keys` at work: on the files in KEYS_DIR, by the code that the transmitter loads them with. */
import { join } from 'node:path'
import { readConfig } from '../config.ts'
import type { SigningAlg } from '../signing/algorithms.ts'
import { deleteRetiredKey, generateKey, listKeys, retireKey, rotateKey } from '../signing/key-lifecycle.ts'
import type { PublicKeyRecord } from '../signing/key-record.ts'
import type { Cli } from './cli.ts'
import { confirm } from './confirm.ts'
import { type Column, print, printJson, table, time } from './output.ts'

export interface KeyOptions {
  readonly keysDir?: string
  readonly json?: boolean
  readonly force?: boolean
  readonly yes?: boolean
}

export interface AlgOptions extends KeyOptions {
  readonly alg?: SigningAlg
}

export async function list(cli: Cli, options: KeyOptions): Promise<void> {
  await show(cli, options, await listKeys(dirOf(cli, options)))
}

export async function generate(cli: Cli, options: AlgOptions): Promise<void> {
  const key = await generateKey(dirOf(cli, options), algOf(cli, options), Date.now())
  await show(cli, options, [key])
  if (key.state !== 'next') return
  await print(cli.stderr, 'Sign with it by `setstream keys rotate`, once receivers had time to learn it.')
}

export async function rotate(cli: Cli, options: AlgOptions): Promise<void> {
  const { current, retired } = await rotateKey({
    dir: dirOf(cli, options),
    alg: algOf(cli, options),
    nowMs: Date.now(),
    force: options.force === true,
  })
  await show(cli, options, retired === undefined ? [current] : [current, retired])
}

export async function retire(cli: Cli, kid: string, options: KeyOptions): Promise<void> {
  await show(cli, options, [await retireKey(dirOf(cli, options), kid, Date.now(), options.force === true)])
}

export async function remove(cli: Cli, kid: string, options: KeyOptions): Promise<void> {
  await confirm(cli, `Delete the private key ${kid}?`, options.yes)
  await deleteRetiredKey(dirOf(cli, options), kid)
  if (!options.json) await print(cli.stdout, `Deleted ${kid}.`)
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
