/** A private Redis for one benchmark, set up as the embedded server is (design, section 6). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findServerBinary } from '../../src/embedded/binary.ts'
import type { Setting } from './bench.ts'
import { startProgram } from './child.ts'
import type { Watched } from './cpu.ts'
import { freePort } from './net.ts'

export interface RedisServer {
  readonly pid: number
  readonly url: string
  readonly client: Redis
  /** Itself, and others whose processor time counts for it. */
  readonly watched: Watched
}

/** @param extra settings beside, or instead of, those of the embedded server. */
export async function startRedis(setting: Setting, extra: Record<string, string> = {}): Promise<RedisServer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), 'setstream-bench-'))
  setting.defer(() => rm(directory, { recursive: true, force: true }))
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    save: '',
    appendonly: 'yes',
    'maxmemory-policy': 'noeviction',
    'lazyfree-lazy-expire': 'yes',
    'stream-node-max-bytes': '1024',
    // A rewrite of the log that starts in one side's window and not in the other's would decide the ratio.
    'auto-aof-rewrite-percentage': '0',
    // A replica is sent its copy at once; Redis would wait five seconds for others that want one.
    'repl-diskless-sync-delay': '0',
    ...extra,
  }
  const binary = await findServerBinary({ named: process.env.REDIS_SERVER_BIN || undefined })
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')])
  const program = startProgram(binary.path, args, binary.env)
  setting.defer(() => program.stop())
  const client = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 20 })
  client.on('error', () => {}) // Refused until the server listens; `ping` reports what lasts.
  setting.defer(() => client.disconnect())
  await program.until(() => client.ping())
  return { pid: program.pid, url: `redis://127.0.0.1:${port}`, client, watched: { redis: program.pid } }
}
