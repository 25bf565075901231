/** A whole transmitter in this process, on the shared Redis and free ports; stopped after the file's last test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { ROLES, type Role, serve } from '../../src/serve.ts'
import { openKeyRing } from '../../src/signing/key-ring.ts'
import { redisUrl, testPrefix } from './redis.ts'

export interface TestTransmitter {
  readonly publicUrl: string
  readonly internalUrl: string
  readonly opsUrl: string
  readonly adminToken: string
  readonly issuer: string
  readonly keysDir: string
  /** One call of the internal listener as administrator; an answer other than 2xx is an error. */
  admin<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T>
  /** Registers a receiver. @returns its poll URL on this transmitter, and a poll token. */
  addReceiver(id: string, more?: object): Promise<{ pollUrl: string; token: string; audience: string }>
  publishToken(producer: string): Promise<string>
  stop(): Promise<void>
}

const ADMIN_TOKEN = 'sst_test_administrator'

/** @param env on top of what a test needs; the same `KEY_PREFIX` and `KEYS_DIR` make it another process of the same. */
export async function startTransmitter(
  env: Record<string, string> = {},
  roles: readonly Role[] = ROLES,
): Promise<TestTransmitter> {
  const directory = await mkdtemp(join(tmpdir(), 'setstream-test-'))
  directories.add(directory)
  const keysDir = env.KEYS_DIR ?? join(directory, 'keys')
  await openKeyRing({ dir: keysDir, alg: 'ES256', generate: true })
  const issuer = env.ISSUER ?? 'https://issuer.example'
  const config = readConfig({
    REDIS_URL: redisUrl(),
    KEY_PREFIX: env.KEY_PREFIX ?? testPrefix(),
    DATA_DIR: directory,
    KEYS_DIR: keysDir,
    ISSUER: issuer,
    ADMIN_TOKEN,
    PUBLIC_LISTEN: '127.0.0.1:0',
    INTERNAL_LISTEN: '127.0.0.1:0',
    OPS_LISTEN: '127.0.0.1:0',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'fatal',
    RATE_LIMIT_ANONYMOUS: '0',
    SHUTDOWN_GRACE_MS: '2000',
    ...env,
  })
  const transmitter = await serve(config, roles)
  running.add(transmitter)
  const { public: publicUrl = '', internal: internalUrl = '' } = transmitter.urls
  const admin = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(internalUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  return {
    publicUrl,
    internalUrl,
    opsUrl: transmitter.urls.ops,
    adminToken: ADMIN_TOKEN,
    issuer,
    keysDir,
    admin,
    async addReceiver(id, more = {}) {
      const audience = `https://${id}.example`
      await admin('POST', '/v1/receivers', { id, audience, ...more })
      const { token } = await admin<{ token: string }>('POST', '/v1/tokens', { scope: 'poll', receiver: id })
      return { pollUrl: `${publicUrl}/receivers/${id}/poll`, token, audience }
    },
    async publishToken(producer) {
      const { token } = await admin<{ token: string }>('POST', '/v1/tokens', { scope: 'publish', producer })
      return token
    },
    async stop() {
      if (!running.delete(transmitter)) return
      await transmitter.stop()
    },
  }
}

const running = new Set<{ stop(): Promise<void> }>()
const directories = new Set<string>()

afterAll(async () => {
  await Promise.all([...running].map(transmitter => transmitter.stop()))
  await Promise.all([...directories].map(directory => rm(directory, { recursive: true, force: true })))
})
