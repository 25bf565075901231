/**
 * A Redis server of one test's own: on a free loopback port, in its own directory, there to be killed, frozen and
 * started again with the same data.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findServerBinary } from '../../src/embedded/binary.ts'

export interface PrivateRedis {
  readonly url: string
  readonly port: number
  readonly directory: string
  readonly pid: number
  /** SIGKILL: what the append-only file does not hold is lost. Resolves once the process is gone. */
  kill(): Promise<void>
  /** SIGTERM, as an operator would: saves first. */
  stop(): Promise<void>
  /** After `kill` or `stop`: the same port, arguments and data. Resolves once it takes connections. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open and nothing is answered, like a network that swallows packets. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its data. Called by the support module for whatever a test file left. */
  close(): Promise<void>
}

export interface PrivateRedisOptions {
  /** Further arguments of redis-server, such as `['--maxmemory', '8mb']`; later ones win. */
  readonly args?: readonly string[]
  /** It speaks TLS and nothing else, also with other servers. */
  readonly tls?: ServerTls
}

export interface ServerTls {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

const PORT_TRIES = 5

const running = new Set<ChildProcess>()
// A test run that ends early must not leave servers behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startRedisProcess(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'setstream-redis-'))
  try {
    for (let tries = 1; ; tries++) {
      try {
        return await startOn(await freePort(), directory, options)
      } catch (error) {
        // Another process may take a port between our look and the server's bind.
        if (tries === PORT_TRIES || !String(error).includes('already in use')) throw error
      }
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

async function startOn(port: number, directory: string, options: PrivateRedisOptions): Promise<PrivateRedis> {
  const { args = [], tls } = options
  const binary = await findServerBinary({ named: process.env.REDIS_SERVER_BIN || undefined })
  const base = ['--bind', '127.0.0.1', '--dir', directory, '--appendonly', 'yes', '--save', '']
  base.push(...(tls === undefined ? ['--port', String(port)] : tlsArguments(port, tls)))
  // Otherwise 10 000 above the port, which is another's as likely as not.
  if (args.includes('--cluster-enabled')) base.push('--cluster-port', String(await freePort()))
  let child: ChildProcess | undefined

  const start = async () => {
    const starting = spawn(binary.path, [...base, ...args], {
      env: { ...process.env, ...binary.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(starting)
    starting.once('exit', () => running.delete(starting))
    await ready(starting)
    child = starting
  }
  const end = async (signal: NodeJS.Signals) => {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const gone = once(ending, 'exit')
    ending.kill(signal)
    await gone
  }

  await start()
  return {
    url: `redis${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    directory,
    get pid() {
      if (child?.pid === undefined) throw new Error('this Redis is not running')
      return child.pid
    },
    start,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await end('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Clients are asked for no certificate; servers show theirs to each other. */
export function tlsArguments(port: number, { certFile, keyFile, caFile }: ServerTls): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile]
  return ['--port', '0', '--tls-port', String(port), ...files, '--tls-auth-clients', 'no', '--tls-replication', 'yes']
}

/** Resolves at the server's own word that it takes connections, which comes after it has loaded its data. */
async function ready(child: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('eady to accept connections')) resolve()
    }
    child.stdout?.on('data', onData)
    child.stderr?.on('data', onData)
    child.once('error', reject)
    // 'close', not 'exit': by then everything it wrote has been read.
    child.once('close', code => reject(new Error(`redis-server ended with ${code} before it was ready:\n${output}`)))
  })
  // From here on its output is of no interest, but an unread pipe would block it.
  child.stdout?.removeAllListeners('data').resume()
  child.stderr?.removeAllListeners('data').resume()
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
