/** The transmitter under test, in a process of its own as `npm start` runs it, and its administration over HTTP. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openKeyRing } from '../../src/signing/key-ring.ts'
import type { Feed } from '../load/target.ts'
import type { Setting } from './bench.ts'
import { startProgram } from './child.ts'
import { freePort } from './net.ts'

const ADMIN_TOKEN = 'sst_bench_administrator'
const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
/** What `npm start` tells Node. */
const NODE_FLAGS: string[] = scripts.start.match(/--\S+/g) ?? []

export interface Transmitter {
  readonly pid: number
  readonly publicPort: number
  readonly internalPort: number
  readonly keysDir: string
  /** Header lines of an administrator. */
  readonly adminHeaders: string
  stop(): Promise<void>
  /** One call of the internal API; an answer other than 2xx is an error. */
  admin<T>(method: string, path: string, body?: unknown): Promise<T>
}

/** Budgets are about cost, not about limits: a backlog of a million must not be refused. */
const LIMITS = { BACKLOG_MAX: '100000000', BACKLOG_BYTES_MAX: '1000000000000', RATE_LIMIT_POLL: '0' }

export async function startTransmitter(
  setting: Setting,
  redisUrl: string,
  env: Record<string, string> = {},
  keysDir?: string,
): Promise<Transmitter> {
  const [publicPort, internalPort, opsPort] = [await freePort(), await freePort(), await freePort()]
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-bench-'))
  setting.defer(() => rm(dataDir, { recursive: true, force: true }))
  const keys = keysDir ?? join(dataDir, 'keys')
  if (keysDir === undefined) await openKeyRing({ dir: keys, alg: 'ES256', generate: true })
  const program = startProgram(
    process.execPath,
    [...NODE_FLAGS, ...setting.nodeArguments, CLI, 'serve', '--roles', env.ROLES ?? 'public,internal,workers'],
    {
      REDIS_URL: redisUrl,
      DATA_DIR: dataDir,
      KEYS_DIR: keys,
      ADMIN_TOKEN,
      PUBLIC_LISTEN: `127.0.0.1:${publicPort}`,
      INTERNAL_LISTEN: `127.0.0.1:${internalPort}`,
      OPS_LISTEN: `127.0.0.1:${opsPort}`,
      LOG_LEVEL: 'warn',
      ...LIMITS,
      ...env,
    },
  )
  setting.defer(() => program.stop())
  await program.until(async () => {
    const answer = await fetch(`http://127.0.0.1:${opsPort}/readyz`)
    if (!answer.ok) throw new Error(`not ready: ${answer.status}`)
  })
  return {
    pid: program.pid,
    publicPort,
    internalPort,
    keysDir: keys,
    adminHeaders: `authorization: Bearer ${ADMIN_TOKEN}\r\n`,
    stop: program.stop,
    admin: async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const answer = await fetch(`http://127.0.0.1:${internalPort}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`)
      return (text === '' ? undefined : JSON.parse(text)) as T
    },
  }
}

export const EVENT_TYPE = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

export interface Registration {
  readonly eventTypes?: readonly string[]
  /** Each with a token of its own; without, the feeds cannot be polled. */
  readonly tokens?: boolean
}

/** Registers receivers; some at a time, so that thousands do not take minutes. */
export async function addReceivers(
  transmitter: Transmitter,
  ids: readonly string[],
  { eventTypes = ['*'], tokens = true }: Registration = {},
): Promise<Feed[]> {
  const feeds: Feed[] = new Array(ids.length)
  let next = 0
  const add = async () => {
    for (let at = next++; at < ids.length; at = next++) {
      const id = ids[at]!
      await transmitter.admin('POST', '/v1/receivers', { id, audience: `https://${id}.example/`, eventTypes })
      feeds[at] = { path: `/receivers/${id}/poll`, headers: tokens ? await pollHeaders(transmitter, id) : '' }
    }
  }
  await Promise.all(Array.from({ length: 16 }, add))
  return feeds
}

async function pollHeaders(transmitter: Transmitter, receiver: string): Promise<string> {
  const { token } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', { scope: 'poll', receiver })
  return `authorization: Bearer ${token}\r\n`
}
