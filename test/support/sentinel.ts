/** A master with a replica, watched by three sentinels: real servers on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findServerBinary } from '../../src/embedded/binary.ts'
import { freePort, type PrivateRedis, type ServerTls, startRedisProcess, tlsArguments } from './redis-process.ts'
import { until } from './until.ts'

export interface SentinelSet {
  /** A `redis+sentinel://` URL; `rediss+sentinel://` with TLS. */
  readonly url: string
  readonly servers: readonly PrivateRedis[]
  /** The server that the sentinels name as master now. */
  master(): Promise<PrivateRedis>
  /** As an operator asks for it: the master is alive. */
  failOver(): Promise<void>
  close(): Promise<void>
}

const NAME = 'mymaster'
const DOWN_AFTER_MS = 1500
const WITHIN_MS = 30_000

export async function startSentinels(tls?: ServerTls): Promise<SentinelSet> {
  const common = ['--repl-diskless-sync-delay', '0']
  const secure = tls === undefined ? {} : { tls }
  const master = await startRedisProcess({ args: common, ...secure })
  const follow = ['--replicaof', '127.0.0.1', String(master.port)]
  const replica = await startRedisProcess({ args: [...common, ...follow], ...secure })
  const servers = [master, replica]
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(master.port, tls)))
  const asked = new Redis({
    host: '127.0.0.1',
    port: sentinels[0]?.port ?? 0,
    retryStrategy: () => 100,
    ...(tls === undefined ? {} : { tls: {} }),
  })
  asked.on('error', () => {})
  const close = async () => {
    asked.disconnect()
    await Promise.all(sentinels.map(sentinel => sentinel.close()))
    await Promise.all(servers.map(server => server.close()))
  }
  const named = async () => {
    const [, port] = (await asked.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as unknown as [string, string]
    const found = servers.find(server => server.port === Number(port))
    if (found === undefined) throw new Error('the sentinels name a server that is none of ours')
    return found
  }
  try {
    await until(
      'the sentinels know each other and the replica',
      async () => {
        const [facts] = (await asked.call('SENTINEL', 'MASTERS')) as unknown as string[][]
        const value = (name: string) => facts?.[facts.indexOf(name) + 1]
        return value('num-other-sentinels') === '2' && value('num-slaves') === '1' && value('flags') === 'master'
      },
      WITHIN_MS,
    )
  } catch (error) {
    await close()
    throw error
  }
  return {
    url: `redis${tls === undefined ? '' : 's'}+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`)}/${NAME}`,
    servers,
    master: named,
    async failOver() {
      const before = await named()
      await asked.call('SENTINEL', 'FAILOVER', NAME)
      await until('another is named', async () => (await named()) !== before, WITHIN_MS)
    },
    close,
  }
}

async function startSentinel(masterPort: number, tls?: ServerTls): Promise<{ port: number; close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'setstream-sentinel-'))
  const port = await freePort()
  const config = join(directory, 'sentinel.conf')
  await writeFile(
    config,
    [
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${NAME} 5000`,
    ].join('\n'),
  )
  const binary = await findServerBinary({ named: process.env.REDIS_SERVER_BIN || undefined })
  const listen = tls === undefined ? ['--port', String(port)] : tlsArguments(port, tls)
  const child: ChildProcess = spawn(binary.path, [config, ...listen, '--sentinel'], {
    env: { ...process.env, ...binary.env },
    stdio: 'ignore',
  })
  running.add(child)
  return {
    port,
    async close() {
      running.delete(child)
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
