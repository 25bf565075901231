/** Logs of a transmitter in a process of its own: one JSON object a line, found by the id that an answer carries. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, vi } from 'vitest'
import { openKeyRing } from '../../src/signing/key-ring.ts'
import { startPrivateRedis, testPrefix } from '../support/redis.ts'
import { until } from '../support/until.ts'

const redis = await startPrivateRedis()
const directory = await mkdtemp(join(tmpdir(), 'setstream-test-'))
await openKeyRing({ dir: join(directory, 'keys'), alg: 'ES256', generate: true })
const children = new Set<ChildProcess>()
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

const LISTENS_WITHIN_MS = 20_000
/** Less than half the grace period: workers that do not end are given up then, and are not to get that far. */
const STOPPED_WITHIN_MS = 10_000
const BACK_WITHIN_MS = 10_000
// Longer than all that a test waits for, so that what was not seen is named.
vi.setConfig({ testTimeout: 2 * (LISTENS_WITHIN_MS + STOPPED_WITHIN_MS) + BACK_WITHIN_MS + 20_000 })

interface Line {
  readonly level: number
  readonly msg: string
  readonly [name: string]: unknown
}

async function start(env: Record<string, string>) {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const child = spawn(process.execPath, [cli, 'serve'], {
    env: {
      PATH: process.env.PATH ?? '',
      REDIS_URL: redis.url,
      KEY_PREFIX: testPrefix(),
      DATA_DIR: directory,
      ADMIN_TOKEN: 'sst_test_administrator',
      PUBLIC_LISTEN: '127.0.0.1:0',
      INTERNAL_LISTEN: '127.0.0.1:0',
      OPS_LISTEN: '127.0.0.1:0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  let out = ''
  child.stdout?.on('data', chunk => {
    out += chunk
  })
  const lines = () =>
    out
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as Line)
  const listening = await until('it listens', () => lines().find(({ msg }) => msg === 'listening'), LISTENS_WITHIN_MS)
  return {
    lines,
    urls: listening as unknown as { public: string; internal: string },
    async stop() {
      child.once('close', () => children.delete(child))
      child.kill('SIGTERM')
      // Its output with it: what it says at the end counts.
      await until('it has stopped', () => !children.has(child), STOPPED_WITHIN_MS)
      return child.exitCode
    },
  }
}

it('holds a line for each request at debug only, by the id of its answer, without token or query', async () => {
  const transmitter = await start({ LOG_LEVEL: 'debug' })
  const refused = await fetch(`${transmitter.urls.internal}/v1/receivers?secret=marker`, {
    headers: { authorization: 'Bearer marker' },
  })
  expect(refused.status).toBe(401)
  const id = refused.headers.get('x-request-id')
  expect(id).toMatch(/^[\w-]+$/)
  const line = await until('the request is logged', () => transmitter.lines().find(({ reqId }) => reqId === id))
  expect(line).toMatchObject({ level: 20, msg: 'request', method: 'GET', route: '/v1/receivers', status: 401 })
  expect(await transmitter.stop()).toBe(0)
  expect(JSON.stringify(transmitter.lines())).not.toContain('marker')

  const quiet = await start({ LOG_LEVEL: 'info' })
  await fetch(`${quiet.urls.internal}/v1/receivers`)
  await quiet.stop()
  expect(quiet.lines().filter(({ reqId }) => reqId !== undefined)).toEqual([])
})

it('tells once of a Redis that is lost, once that it is back, and bounds what requests say meanwhile', async () => {
  const transmitter = await start({ LOG_LEVEL: 'info' })
  const about = (part: string) => transmitter.lines().filter(({ msg }) => msg.includes(part))
  const ask = () =>
    fetch(`${transmitter.urls.internal}/v1/receivers`, { headers: { authorization: 'Bearer sst_test_administrator' } })
  expect((await ask()).status).toBe(200)
  await redis.kill()
  await until('it is lost', () => about('is lost').length === 2)
  for (let i = 0; i < 5; i++) {
    const answers = await Promise.all(Array.from({ length: 100 }, ask))
    expect(answers.map(({ status }) => status)).toEqual(new Array(100).fill(503))
  }
  await redis.start()
  await until('it is back', () => about('is back').length === 2, BACK_WITHIN_MS)
  expect(
    about('is lost')
      .map(({ purpose }) => purpose)
      .sort(),
  ).toEqual(['jobs', 'requests'])
  expect(about('request failed').length).toBeGreaterThan(0)
  const perSecond = Map.groupBy(about('request failed'), ({ time }) => String(time).slice(0, 19))
  for (const lines of perSecond.values()) expect(lines.length).toBeLessThanOrEqual(201)
  expect(await transmitter.stop()).toBe(0)
  expect(about('is lost')).toHaveLength(2)
})
