/** A transmitter of the runner's own: the `serve` command as a child process on free loopback ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Transmitter } from './transmitter.ts'
import type { Limits } from './vector.ts'

export interface OwnServer {
  readonly transmitter: Transmitter
  /** SIGTERM, as an operator would; resolves with the exit code. */
  terminate(): Promise<number | null>
}

export interface OwnServerOptions {
  readonly dataDir: string
  /** Absent: the embedded Redis, with its data in `dataDir`. */
  readonly redisUrl?: string
  /** Signing keys. Absent: those of `dataDir`, made up on the first start with the embedded Redis. */
  readonly keysDir?: string
  readonly pageBytesMax?: number
}

export const OWN_LIMITS: Limits = {
  pageMax: 100,
  pollWaitMs: 2000,
  bodyBytesMax: 1_048_576,
  heldPollsPerReceiver: 32,
  pollsPerMinute: 600,
  receiveTimeoutMs: 4000,
}
export const SHUTDOWN_GRACE_MS = 3000
/** Each process looks once a second for what changed in the registry. */
export const SETTLES_WITHIN_MS = 1200

/** The byte budget of a page where a vector is about one SET that exceeds it. */
export const SMALL_PAGE_BYTES = 1024

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const START_MS = 30_000
const LOG_LINES_MAX = 20_000
/** What a child may know of our environment: nothing that would configure it. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME', 'LD_LIBRARY_PATH', 'REDIS_SERVER_BIN']

interface Listening {
  readonly public: string
  readonly internal: string
  readonly ops?: string
}

export async function startOwnServer(options: OwnServerOptions): Promise<OwnServer> {
  const adminToken = randomBytes(24).toString('base64url')
  const child = spawn(process.execPath, [CLI, 'serve'], {
    env: { ...inherited(), ...environment(options), ADMIN_TOKEN: adminToken },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // A run that ends early leaves no server behind; SIGTERM, so that an embedded Redis goes with it.
  const endWithUs = () => child.kill('SIGTERM')
  process.once('exit', endWithUs)
  const exited = once(child, 'exit').then(([code]) => {
    process.off('exit', endWithUs)
    return code as number | null
  })

  const lines: string[] = []
  const listening = await firstListening(child, lines)
  const transmitter: Transmitter = {
    publicUrl: new URL(listening.public),
    internalUrl: new URL(listening.internal),
    opsUrl: listening.ops === undefined ? undefined : new URL(listening.ops),
    adminToken,
    limits: OWN_LIMITS,
    logLines: () => lines,
    settlesWithinMs: SETTLES_WITHIN_MS,
  }
  return {
    transmitter,
    terminate() {
      child.kill('SIGTERM')
      const overdue = setTimeout(() => child.kill('SIGKILL'), SHUTDOWN_GRACE_MS + 10_000)
      return exited.finally(() => clearTimeout(overdue))
    },
  }
}

function inherited(): Record<string, string> {
  return Object.fromEntries(INHERITED.flatMap(name => (process.env[name] ? [[name, process.env[name]]] : [])))
}

function environment({ dataDir, redisUrl, keysDir, pageBytesMax }: OwnServerOptions): Record<string, string> {
  return {
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    ...(keysDir === undefined ? {} : { KEYS_DIR: keysDir }),
    ...(pageBytesMax === undefined ? {} : { PAGE_BYTES_MAX: String(pageBytesMax) }),
    DATA_DIR: dataDir,
    PUBLIC_LISTEN: '127.0.0.1:0',
    INTERNAL_LISTEN: '127.0.0.1:0',
    OPS_LISTEN: '127.0.0.1:0',
    POLL_WAIT_MS: String(OWN_LIMITS.pollWaitMs),
    PAGE_MAX: String(OWN_LIMITS.pageMax),
    BODY_BYTES_MAX: String(OWN_LIMITS.bodyBytesMax),
    HELD_POLLS_PER_RECEIVER: String(OWN_LIMITS.heldPollsPerReceiver),
    RATE_LIMIT_POLL: String(OWN_LIMITS.pollsPerMinute),
    // The vectors are refused by the dozen, all from one address.
    RATE_LIMIT_ANONYMOUS: '0',
    HEADER_TIMEOUT_MS: String(OWN_LIMITS.receiveTimeoutMs / 2),
    BODY_TIMEOUT_MS: String(OWN_LIMITS.receiveTimeoutMs / 2),
    SHUTDOWN_GRACE_MS: String(SHUTDOWN_GRACE_MS),
    LOG_LEVEL: 'info',
  }
}

async function firstListening(child: ChildProcess, lines: string[]): Promise<Listening> {
  const found = Promise.withResolvers<Listening>()
  const tail = () => lines.slice(-15).join('\n')
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on('line', line => {
      lines.push(line)
      if (lines.length > LOG_LINES_MAX) lines.shift()
      const listening = parseListening(line)
      if (listening !== undefined) found.resolve(listening)
    })
  }
  const late = setTimeout(
    () => found.reject(new Error(`the server did not say where it listens within ${START_MS} ms:\n${tail()}`)),
    START_MS,
  )
  child.once('error', found.reject)
  child.once('close', code => found.reject(new Error(`the server ended with ${code} before it listened:\n${tail()}`)))
  try {
    return await found.promise
  } catch (error) {
    child.kill('SIGTERM')
    throw error
  } finally {
    clearTimeout(late)
  }
}

function parseListening(line: string): Listening | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const { msg, ...members } = JSON.parse(line)
    const found = msg === 'listening' && typeof members.public === 'string' && typeof members.internal === 'string'
    return found ? members : undefined
  } catch {
    return undefined
  }
}
