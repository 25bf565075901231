/**
 * Finds a Redis server to run: the one that was named, else one on PATH. Redis and Valkey are the same to us from 7.0 on.
 */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { SetupError } from '../errors.ts'

const run = promisify(execFile)

/** Streams with consumer groups as we use them, sharded pub/sub and script flags are there from Redis 7.0 and Valkey 7.2 on. */
const OLDEST_MAJOR = 7
const NAMES = ['redis-server', 'valkey-server']

/** A server that was seen to run. `env` is what it needs besides our own environment. */
export interface ServerBinary {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
  readonly version: string
}

export interface FindOptions {
  /** REDIS_SERVER_BIN: nothing else is tried. */
  readonly named?: string | undefined
  readonly path?: string | undefined
  readonly log?: (line: string) => void
}

/** @throws {SetupError} one sentence that says what to do. */
export async function findServerBinary(options: FindOptions = {}): Promise<ServerBinary> {
  const log = options.log ?? (() => {})
  if (options.named !== undefined) {
    const found = await probe(options.named, {})
    if ('refused' in found) throw new SetupError(`REDIS_SERVER_BIN: ${found.refused}.`)
    return found
  }
  for (const directory of (options.path ?? process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(directory, name)
      if (directory === '' || !(await isExecutable(path))) continue
      const found = await probe(path, {})
      if (!('refused' in found)) return found
      log(`${path} is not used: ${found.refused}`)
    }
  }
  throw new SetupError('No Redis server was found: install Redis 7 or Valkey, or set REDIS_URL.')
}

/** Runs `--version`, so that a binary is only chosen when its libraries are there and it is new enough. */
export async function probe(
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<ServerBinary | { refused: string }> {
  let output: string
  try {
    output = (await run(path, ['--version'], { env: { ...process.env, ...env }, timeout: 10_000 })).stdout
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: string | number }
    return { refused: `it does not run (${stderr?.trim().split('\n')[0] || code || 'no reason given'})` }
  }
  const version = /\bv=(\d+\.\d+\.\d+)/.exec(output)?.[1]
  if (version === undefined) return { refused: 'it is not a Redis or Valkey server' }
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) return { refused: `it is ${version}, and 7.0 or newer is needed` }
  return { path, env, version }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
