import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EmbeddedOptions, type EmbeddedRedis, startEmbeddedRedis } from '../../src/embedded/server.ts'
import { isServer } from '../../src/embedded/server-process.ts'

interface User {
  readonly process: ChildProcess
  readonly adopted: boolean
  readonly endpoint: { readonly path: string }
}

const USER = fileURLToPath(new URL('../support/embedded-user.ts', import.meta.url))

let dataDir: string
let used: EmbeddedRedis[]
let users: ChildProcess[]
let clients: Redis[]

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'setstream-embedded-'))
  used = []
  users = []
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.disconnect()
  await Promise.all(users.map(user => end(user, 'SIGTERM')))
  await Promise.all(used.map(server => server.stop()))
  // What a killed process left is adopted and ended.
  if (existsSync(join(dataDir, 'redis', 'endpoint.json'))) await (await startEmbeddedRedis({ dataDir })).stop()
  await rm(dataDir, { recursive: true, force: true })
})

async function start(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedRedis> {
  const server = await startEmbeddedRedis({ dataDir, ...options })
  used.push(server)
  return server
}

function connect(endpoint: EmbeddedRedis['endpoint']): Redis {
  const client = new Redis({ ...endpoint, maxRetriesPerRequest: 1 })
  client.on('error', () => {})
  clients.push(client)
  return client
}

/** Another process that uses the server of the same DATA_DIR. */
async function startUser(): Promise<User> {
  const user = spawn(process.execPath, [USER, dataDir], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  users.push(user)
  const [line] = await once(createInterface({ input: user.stdout }), 'line')
  return { process: user, ...JSON.parse(line) }
}

async function end(user: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (user.exitCode !== null || user.signalCode !== null) return
  const gone = once(user, 'exit')
  user.kill(signal)
  await gone
}

async function serverPid(): Promise<number> {
  return Number(await readFile(join(dataDir, 'redis', 'redis.pid'), 'utf8'))
}

function runs(pid: number): Promise<boolean> {
  return isServer(pid, join(dataDir, 'redis', 'redis.conf'))
}

describe('the embedded Redis', () => {
  it('listens on a socket that only this user can reach, in a directory that only this user can enter', async () => {
    const { endpoint, adopted } = await start()
    if (!('path' in endpoint)) throw new Error('a socket was expected')
    expect(adopted).toBe(false)
    expect((await stat(dirname(endpoint.path))).mode & 0o777).toBe(0o700)
    expect((await stat(join(dataDir, 'redis'))).mode & 0o777).toBe(0o700)
    expect(await connect(endpoint).ping()).toBe('PONG')
  })

  it('is set up as the queues need it', async () => {
    const redis = connect((await start()).endpoint)
    const setting = async (name: string) => ((await redis.config('GET', name)) as string[])[1]
    expect(await setting('appendonly')).toBe('yes')
    expect(await setting('appendfsync')).toBe('everysec')
    expect(await setting('maxmemory-policy')).toBe('noeviction')
    expect(await setting('lazyfree-lazy-expire')).toBe('yes')
    expect(await setting('stream-node-max-bytes')).toBe('1024')
    expect(await setting('port')).toBe('0')
  })

  it('can be told to have every write on disk before it answers', async () => {
    const redis = connect((await start({ appendfsync: 'always' })).endpoint)
    expect(await redis.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always'])
  })

  it('keeps its data over a stop and a start, and leaves nothing running between them', async () => {
    const first = await start()
    await connect(first.endpoint).set('kept', 'yes')
    const pid = await serverPid()
    await first.stop()
    expect(await runs(pid)).toBe(false)
    if ('path' in first.endpoint) expect(existsSync(dirname(first.endpoint.path))).toBe(false)
    const second = await start()
    expect(second.adopted).toBe(false)
    expect(await connect(second.endpoint).get('kept')).toBe('yes')
  })

  it('falls back to a loopback port that wants a password', async () => {
    const { endpoint } = await start({ transport: 'loopback' })
    if (!('port' in endpoint)) throw new Error('a port was expected')
    expect(endpoint.host).toBe('127.0.0.1')
    expect(await connect(endpoint).ping()).toBe('PONG')
    await expect(connect({ ...endpoint, password: 'guessed-password' }).ping()).rejects.toThrow()
    // Nor does the list of processes or a file of others' tell the password.
    expect((await stat(join(dataDir, 'redis', 'redis.conf'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dataDir, 'redis', 'endpoint.json'))).mode & 0o777).toBe(0o600)
  })

  it('is adopted by later processes, and goes on when the process that started it stops before them', async () => {
    const starter = await startUser()
    const { endpoint, adopted } = await start()
    expect([starter.adopted, adopted]).toEqual([false, true])
    expect(endpoint).toEqual(starter.endpoint)
    await end(starter.process, 'SIGTERM')
    expect(starter.process.exitCode).toBe(0)
    expect(await connect(endpoint).ping()).toBe('PONG')
    const pid = await serverPid()
    await used[0]?.stop()
    expect(await runs(pid)).toBe(false)
  })

  it('is started once by processes that start at the same moment', async () => {
    const three = await Promise.all([startUser(), startUser(), startUser()])
    expect(three.map(user => user.adopted).sort()).toEqual([false, true, true])
    expect(new Set(three.map(user => user.endpoint.path)).size).toBe(1)
    const pid = await serverPid()
    await Promise.all(three.map(user => end(user.process, 'SIGTERM')))
    expect(await runs(pid)).toBe(false)
  })

  it('survives a SIGKILL of its user, is adopted with its data at the next start, and ended at the next stop', async () => {
    const killed = await startUser()
    await connect(killed.endpoint).set('kept', 'yes')
    await end(killed.process, 'SIGKILL')
    const next = await start()
    expect(next.adopted).toBe(true)
    expect(await connect(next.endpoint).get('kept')).toBe('yes')
    const pid = await serverPid()
    await next.stop()
    expect(await runs(pid)).toBe(false)
  })

  it('gets no Ctrl-C: the terminal interrupts the whole group of its user, which still has a server to drain', async () => {
    const user = await startUser()
    const { endpoint } = await start()
    process.kill(-(user.process.pid as number), 'SIGINT')
    await once(user.process, 'exit')
    expect(await connect(endpoint).ping()).toBe('PONG')
  })

  it('does not get our environment, which may hold secrets', async () => {
    vi.stubEnv('ADMIN_TOKEN', 'a-secret-of-the-transmitter')
    await start()
    vi.unstubAllEnvs()
    if (!existsSync('/proc/self/environ')) return
    expect(await readFile(`/proc/${await serverPid()}/environ`, 'utf8')).not.toContain('ADMIN_TOKEN')
  })

  it('comes back at the same place with its data when it crashes', async () => {
    const { endpoint } = await start({ appendfsync: 'always' })
    const redis = new Redis({ ...endpoint, maxRetriesPerRequest: null })
    redis.on('error', () => {})
    clients.push(redis)
    await redis.set('kept', 'yes')
    const pid = await serverPid()
    process.kill(pid, 'SIGKILL')
    expect(await redis.get('kept')).toBe('yes')
    expect(await serverPid()).not.toBe(pid)
  })

  it('is replaced, with its data, where it was left behind and its socket is gone', async () => {
    const killed = await startUser()
    await connect(killed.endpoint).set('kept', 'yes')
    const pid = await serverPid()
    await end(killed.process, 'SIGKILL')
    await rm(killed.endpoint.path)
    const next = await start()
    expect(next.adopted).toBe(false)
    expect(await runs(pid)).toBe(false)
    expect(await connect(next.endpoint).get('kept')).toBe('yes')
  })

  it('is never doubled: where others use it and it cannot be reached, the start is refused', async () => {
    const other = await startUser()
    const pid = await serverPid()
    await rm(other.endpoint.path)
    await expect(start()).rejects.toThrow(/is in use by another process/)
    expect(await runs(pid)).toBe(true)
  })

  it('says why it cannot start', async () => {
    await expect(start({ binary: '/nowhere/redis-server' })).rejects.toThrow(
      'REDIS_SERVER_BIN: /nowhere/redis-server does not run (ENOENT).',
    )
    await start().then(server => server.stop())
    await writeFile(join(dataDir, 'redis', 'appendonlydir', 'appendonly.aof.manifest'), 'not a manifest\n')
    await expect(start()).rejects.toThrow(/could not be started: it ended with 1\. .*redis\.log, ends with:\n.+/s)
    await writeFile(join(dataDir, 'file'), '')
    await expect(startEmbeddedRedis({ dataDir: join(dataDir, 'file') })).rejects.toThrow(/^DATA_DIR .* cannot be used/)
  })
})
