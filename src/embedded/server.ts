/**
 * The embedded Redis: one private server per DATA_DIR, whatever the number of processes that use it.
 *
 * The first process starts it, later ones adopt it, and the last one to stop ends it, whoever started it: a starter may
 * leave while others go on. A process that is killed leaves the server running; the next start adopts it with all its
 * data, and then ends it as any last user does. The server has a session of its own, so that Ctrl-C reaches the parent
 * alone, which drains first.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { SetupError } from '../errors.ts'
import { findServerBinary } from './binary.ts'
import { ask, loopbackEndpoint, type RedisEndpoint, removeSocket, socketEndpoint } from './endpoint.ts'
import { type FileLock, tryExclusive, tryShared, whileExclusive } from './file-lock.ts'
import type { ServerBinary } from './probe.ts'
import {
  logTail,
  openLog,
  prepareFiles,
  readEndpoint,
  type ServerFiles,
  writeEndpoint,
  writeServerConfig,
} from './server-files.ts'
import { serverPid, terminate } from './server-process.ts'

export type { RedisEndpoint } from './endpoint.ts'

export interface EmbeddedOptions {
  /** DATA_DIR; the server's part is its folder `redis`. */
  readonly dataDir: string
  /** REDIS_SERVER_BIN. Unset: the first server found, or fetched. */
  readonly binary?: string | undefined
  /** One line at a time, for a person: what takes long, what went wrong and was healed. */
  readonly log?: (line: string) => void
  /** `always` is what CONFIRM=fsynced needs. An adopted server keeps what it was started with. */
  readonly appendfsync?: 'everysec' | 'always'
  /** `loopback`: a port and a password, which a `redis://` URL can say. Unset: a Unix socket, where those work. */
  readonly transport?: 'socket' | 'loopback'
}

export interface EmbeddedRedis {
  readonly endpoint: RedisEndpoint
  /** It ran already: another process uses it, or one that was killed left it. */
  readonly adopted: boolean
  /** Ends the server if no other process uses it, and resolves once it is gone. Call it after the last command. */
  stop(): Promise<void>
}

/** How long another process may take to start or stop the server before this one gives up. */
const OTHERS_MS = 60_000
const ANSWER_MS = 2000
/** A server that loads its data says so and is waited for; one that says nothing gets this long. */
const SILENT_MS = 10_000
const STOPPING_MS = 30_000
const LOOK_MS = 20
const PORT_TRIES = 5
/** Longer than a crashed server takes to be started again by the process that started it. */
const UNREACHABLE_MS = 3000
const UNREACHABLE_LOOK_MS = 200
const RESTART_MS = 1000
const RESTART_MS_MAX = 30_000

/** @throws {SetupError} what stands in the way, as a sentence a person can act on. */
export async function startEmbeddedRedis(options: EmbeddedOptions): Promise<EmbeddedRedis> {
  const log = options.log ?? (() => {})
  const files = await prepareFiles(options.dataDir).catch(error => {
    throw new SetupError(`DATA_DIR ${options.dataDir} cannot be used: ${(error as Error).message}`)
  })
  const { endpoint, launched, users } = await join(files, options, log)
  const stopped = new AbortController()
  if (launched !== undefined) void restartWhenItEnds(files, launched, stopped.signal, log)

  const end = async () => {
    stopped.abort()
    await whileStarting(files, async () => {
      users.release()
      const last = tryExclusive(files.usersLock)
      if (last === undefined) return
      try {
        await endServer(files)
        await forget(files, endpoint)
      } finally {
        last.release()
      }
    })
  }
  let ending: Promise<void> | undefined
  return {
    endpoint,
    adopted: launched === undefined,
    stop() {
      ending ??= end()
      return ending
    },
  }
}

interface Joined {
  readonly endpoint: RedisEndpoint
  /** Unset where the server was adopted. */
  readonly launched: Launched | undefined
  /** Held as long as this process uses the server. */
  readonly users: FileLock
}

async function join(files: ServerFiles, options: EmbeddedOptions, log: (line: string) => void): Promise<Joined> {
  const deadlineMs = Date.now() + UNREACHABLE_MS
  for (;;) {
    const joined = await whileStarting(files, async () => {
      const adopted = await adopt(files, log)
      if (adopted === 'unreachable') return undefined
      const launched = adopted === undefined ? await launch(files, options, log) : undefined
      const endpoint = launched?.endpoint ?? adopted
      const users = tryShared(files.usersLock)
      if (endpoint === undefined || users === undefined) throw new Error(`${files.usersLock} is locked by a stranger`)
      return { endpoint, launched, users }
    })
    if (joined !== undefined) return joined
    if (Date.now() > deadlineMs) {
      throw new SetupError(
        `${files.dataDir} is in use by another process, and its Redis server cannot be reached from here: ` +
          'stop that process, or give this one another DATA_DIR, or give both one REDIS_URL.',
      )
    }
    await delay(UNREACHABLE_LOOK_MS)
  }
}

interface Launched {
  readonly endpoint: RedisEndpoint
  readonly binary: ServerBinary
  readonly child: ChildProcess
}

/** Start, adopt and stop happen one at a time, over all processes: nothing is adopted that is about to end. */
async function whileStarting<T>(files: ServerFiles, step: () => Promise<T>): Promise<T> {
  const busy = `Another process has been starting or stopping the Redis server of ${files.dataDir} for long.`
  return whileExclusive(files.startingLock, OTHERS_MS, busy, step)
}

/**
 * @returns undefined where no server runs; one that is left and cannot be reached is ended first. `unreachable`: others
 * use one that does not answer here, because it is being restarted, or is in another container.
 */
async function adopt(
  files: ServerFiles,
  log: (line: string) => void,
): Promise<RedisEndpoint | 'unreachable' | undefined> {
  const endpoint = await readEndpoint(files)
  if (endpoint !== undefined && (await untilReady(endpoint, log))) return endpoint
  const alone = tryExclusive(files.usersLock)
  if (alone === undefined) return 'unreachable'
  alone.release()
  await endServer(files)
  if (endpoint !== undefined) await removeSocket(endpoint)
  return undefined
}

async function untilReady(endpoint: RedisEndpoint, log: (line: string) => void): Promise<boolean> {
  let silentSinceMs = Date.now()
  let told = false
  for (;;) {
    const answer = await ask(endpoint, ANSWER_MS)
    if (answer === 'ready' || answer === 'absent') return answer === 'ready'
    if (answer === 'loading') {
      if (!told) log('Redis is loading its data.')
      told = true
      silentSinceMs = Date.now()
    } else if (Date.now() - silentSinceMs > SILENT_MS) {
      return false
    }
    await delay(LOOK_MS)
  }
}

/** Nothing listens there any more. */
async function forget(files: ServerFiles, endpoint: RedisEndpoint): Promise<void> {
  await removeSocket(endpoint)
  await rm(files.endpoint, { force: true })
}

async function endServer(files: ServerFiles): Promise<void> {
  const pid = await serverPid(files.pid, files.config)
  if (pid === undefined) return
  if (await terminate(pid, files.config, STOPPING_MS)) return
  throw new SetupError(`The Redis server of ${files.dataDir}, process ${pid}, does not end. Its log: ${files.log}`)
}

async function launch(files: ServerFiles, options: EmbeddedOptions, log: (line: string) => void): Promise<Launched> {
  const binary = await findServerBinary({ named: options.binary, log })
  for (let tries = 1; ; tries++) {
    const socket = options.transport === 'loopback' ? undefined : await socketEndpoint()
    const endpoint = socket ?? (await loopbackEndpoint())
    await writeEndpoint(files, endpoint)
    await writeServerConfig(files, endpoint, options.appendfsync ?? 'everysec')
    try {
      return { endpoint, binary, child: await spawnServer(files, endpoint, binary, log) }
    } catch (error) {
      await forget(files, endpoint)
      // Another process may take the port between our look and the server's bind.
      if (tries === PORT_TRIES || !String(error).includes('already in use')) throw error
    }
  }
}

/** Resolves once the server takes commands. */
async function spawnServer(
  files: ServerFiles,
  endpoint: RedisEndpoint,
  binary: ServerBinary,
  log: (line: string) => void,
): Promise<ChildProcess> {
  const output = await openLog(files)
  const child = spawn(binary.path, [files.config], {
    cwd: files.directory,
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    // Not our whole environment: it may hold secrets, and the server may outlive us.
    env: { PATH: process.env.PATH, TZ: process.env.TZ, LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH, ...binary.env },
  })
  child.unref()
  const failed = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}`))
  })
  try {
    await Promise.race([failed, listening(endpoint, child)])
    if (await untilReady(endpoint, log)) return child
    const failure = await Promise.race([failed, delay(ANSWER_MS, 'it does not answer', { ref: false })])
    child.kill('SIGKILL')
    const said = await logTail(files, output.size)
    throw new SetupError(
      `The Redis server ${binary.path} (${binary.version}) could not be started: ${failure}. ` +
        `Its log, ${files.log}, ends with:\n${said}`,
    )
  } finally {
    await output.end()
  }
}

async function listening(endpoint: RedisEndpoint, child: ChildProcess): Promise<void> {
  const deadlineMs = Date.now() + SILENT_MS
  while (isRunning(child) && Date.now() < deadlineMs) {
    if ((await ask(endpoint, ANSWER_MS)) !== 'absent') return
    await delay(LOOK_MS)
  }
}

/** A server that crashed, or that the system killed for its memory, comes back at the same place with its data. */
async function restartWhenItEnds(
  files: ServerFiles,
  { endpoint, binary, child: first }: Launched,
  stopped: AbortSignal,
  log: (line: string) => void,
): Promise<void> {
  let child: ChildProcess | undefined = first
  let waitMs = RESTART_MS
  while (!stopped.aborted) {
    try {
      if (child !== undefined && isRunning(child)) await once(child, 'exit', { signal: stopped })
      log(`The embedded Redis ended unasked and is started again. Its log: ${files.log}`)
      await delay(waitMs, undefined, { signal: stopped, ref: false })
      child = await whileStarting(files, async () =>
        stopped.aborted ? undefined : spawnServer(files, endpoint, binary, log),
      )
      waitMs = RESTART_MS
    } catch (error) {
      if (stopped.aborted) return
      child = undefined
      waitMs = Math.min(2 * waitMs, RESTART_MS_MAX)
      log((error as Error).message)
    }
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
