/**
 * Finds a Redis server to run: the one that was named, else one on PATH, else one that was fetched earlier, else one
 * that is fetched now. Redis and Valkey are the same to us.
 */
import { access, constants, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { SetupError } from '../errors.ts'
import { fetchDebianServer, hasDebianTools, unpackedServer } from './debian-package.ts'
import { whileExclusive } from './file-lock.ts'
import { probe, type ServerBinary } from './probe.ts'
import { thisSystem } from './system.ts'

export type { ServerBinary } from './probe.ts'

const NAMES = ['redis-server', 'valkey-server']
/** A fetch by another process is waited for this long. */
const FETCHING_MS = 600_000

export interface FindOptions {
  /** REDIS_SERVER_BIN: nothing else is tried. */
  readonly named?: string | undefined
  /** One line at a time, for a person. */
  readonly log?: (line: string) => void
}

/** @throws {SetupError} one sentence that says what to do. */
export async function findServerBinary(options: FindOptions = {}): Promise<ServerBinary> {
  const log = options.log ?? (() => {})
  if (options.named !== undefined) {
    const found = await probe(options.named)
    if ('refused' in found) throw new SetupError(`REDIS_SERVER_BIN: ${found.refused}.`)
    return found
  }
  return (await onPath(log)) ?? (await fetched()) ?? (await fetchNow(log))
}

async function onPath(log: (line: string) => void): Promise<ServerBinary | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(directory, name)
      if (directory === '' || !(await allows(path, constants.X_OK))) continue
      const found = await probe(path)
      if (!('refused' in found)) return found
      log(`Not used: ${found.refused}.`)
    }
  }
  return undefined
}

/** Where a fetched server is kept: with the project, else with the user. */
async function places(): Promise<string[]> {
  const { name } = await thisSystem()
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return [resolve('.cache'), join(home, 'setstream')].map(cache => join(cache, `redis-${name}`))
}

async function fetched(): Promise<ServerBinary | undefined> {
  for (const place of await places()) {
    const found = await unpackedServer(place)
    if (!('refused' in found)) return found
  }
  return undefined
}

async function fetchNow(log: (line: string) => void): Promise<ServerBinary> {
  const reason = await hasDebianTools().then(debian => (debian ? fetchWith(log) : 'none is on PATH'))
  if (typeof reason !== 'string') return reason
  const { advice } = await thisSystem()
  throw new SetupError(
    `No Redis server was found (${reason}). To get one, ${advice}, ` +
      'or set REDIS_URL to one that runs, or REDIS_SERVER_BIN to its program.',
  )
}

/** @returns the reason where there is none to be had. */
async function fetchWith(log: (line: string) => void): Promise<ServerBinary | string> {
  for (const place of await places()) {
    const cache = resolve(place, '..')
    const made = await mkdir(cache, { recursive: true }).then(
      () => true,
      () => false,
    )
    if (!made || !(await allows(cache, constants.W_OK))) continue
    // Of two processes that start at once one fetches, and the other finds what it fetched.
    const found = await whileExclusive(
      `${place}.lock`,
      FETCHING_MS,
      'Another process has been fetching Redis for long.',
      async () => {
        const already = await fetched()
        if (already !== undefined) return already
        log(`Fetching a Redis server into ${place}: this happens once, and installs nothing.`)
        return fetchDebianServer(place).catch(error => ({ refused: (error as Error).message }))
      },
    )
    return 'refused' in found ? found.refused : found
  }
  return 'none is on PATH, and neither .cache nor the cache of this user can be written to keep one'
}

async function allows(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
