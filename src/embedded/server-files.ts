/** What the embedded server has on disk, in DATA_DIR/redis, and how its configuration reads. */
import { chmod, mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { RedisEndpoint } from './endpoint.ts'

const LOG_BYTES_MAX = 1_048_576

export interface ServerFiles {
  readonly dataDir: string
  readonly directory: string
  readonly config: string
  /** Where it listens: JSON of a RedisEndpoint. */
  readonly endpoint: string
  /** Written and removed by the server. */
  readonly pid: string
  readonly log: string
  /** Held while the server is started, adopted or stopped. */
  readonly startingLock: string
  /** Held, shared, by every process that uses the server. */
  readonly usersLock: string
}

export async function prepareFiles(dataDirGiven: string): Promise<ServerFiles> {
  const dataDir = resolve(dataDirGiven)
  const directory = join(dataDir, 'redis')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await chmod(directory, 0o700)
  return {
    dataDir,
    directory,
    config: join(directory, 'redis.conf'),
    endpoint: join(directory, 'endpoint.json'),
    pid: join(directory, 'redis.pid'),
    log: join(directory, 'redis.log'),
    startingLock: join(directory, 'starting.lock'),
    usersLock: join(directory, 'users.lock'),
  }
}

export async function readEndpoint(files: Pick<ServerFiles, 'endpoint'>): Promise<RedisEndpoint | undefined> {
  try {
    return JSON.parse(await readFile(files.endpoint, 'utf8')) as RedisEndpoint
  } catch {
    // Never started here, stopped as it should, or cut short: in each case nothing can be listening by it.
    return undefined
  }
}

/** Written before the server starts, so that one whose starter is killed the moment after is found. */
export async function writeEndpoint(files: ServerFiles, endpoint: RedisEndpoint): Promise<void> {
  await replaceFile(files.endpoint, `${JSON.stringify(endpoint)}\n`)
}

export async function writeServerConfig(
  files: ServerFiles,
  endpoint: RedisEndpoint,
  appendfsync: 'everysec' | 'always',
): Promise<void> {
  const listen =
    'path' in endpoint
      ? ['port 0', `unixsocket ${quoted(endpoint.path)}`, 'unixsocketperm 700']
      : [`bind ${endpoint.host}`, `port ${endpoint.port}`, `requirepass ${endpoint.password}`]
  const lines = [
    '# Written at every start.',
    ...listen,
    `dir ${quoted(files.directory)}`,
    `pidfile ${quoted(files.pid)}`,
    // The command line names this file as long as the process lives: that is how it is told from others.
    'proc-title-template "{title} {config-file}"',
    'appendonly yes',
    `appendfsync ${appendfsync}`,
    // The append-only file has everything: a snapshot beside it would only cost a fork.
    'save ""',
    // BullMQ needs it, and a SET must never be evicted.
    'maxmemory-policy noeviction',
    // The sets of finished jtis are large when they expire.
    'lazyfree-lazy-expire yes',
    // A node of a stream is freed once all its entries are: small nodes hold less that is acknowledged.
    'stream-node-max-bytes 1024',
  ]
  await replaceFile(files.config, `${lines.join('\n')}\n`)
}

/** Opens the log for appending; a long one makes way first, and one predecessor is kept. */
export async function openLog(files: ServerFiles): Promise<{ fd: number; end: () => Promise<void>; size: number }> {
  const size = await stat(files.log).then(
    found => found.size,
    () => 0,
  )
  const full = size > LOG_BYTES_MAX
  if (full) await rename(files.log, `${files.log}.1`)
  const handle = await open(files.log, 'a', 0o600)
  return { fd: handle.fd, end: () => handle.close(), size: full ? 0 : size }
}

/** The last lines of the log from `offset` on, for a message. */
export async function logTail(files: ServerFiles, offset: number): Promise<string> {
  const text = (await readFile(files.log)).subarray(offset).toString().trim()
  return text.split('\n').slice(-3).join('\n')
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`
}
