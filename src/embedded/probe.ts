/** Whether a file is a server we can use. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Script flags and sharded pub/sub came with Redis 7.0; Valkey began at 7.2. */
const OLDEST_MAJOR = 7

/** A server that was seen to run. `env` is what it needs besides our own environment. */
export interface ServerBinary {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
  readonly version: string
}

/** Runs it with `--version`: so its libraries are known to be there too. `refused` says why it is not usable. */
export async function probe(
  path: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ServerBinary | { readonly refused: string }> {
  let output: string
  try {
    output = (await run(path, ['--version'], { env: { ...process.env, ...env }, timeout: 10_000 })).stdout
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: string | number }
    return { refused: `${path} does not run (${stderr?.trim().split('\n')[0] || code || 'no reason given'})` }
  }
  const version = /\bserver v=(\d+\.\d+\.\d+)/.exec(output)?.[1]
  if (version === undefined) return { refused: `${path} is not a Redis or Valkey server` }
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    return { refused: `${path} is ${version}, and 7.0 or newer is needed` }
  return { path, env, version }
}
