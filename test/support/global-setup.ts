/**
 * The Redis that all test files share: TEST_REDIS_URL, else a container where a Docker engine answers and has the
 * image, else the server binary of the embedded default; with TEST_REDIS_KIND=cluster a cluster of three masters and
 * three replicas of that binary. Never an imitation.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { TestProject } from 'vitest/node'
import { startEmbeddedRedis } from '../../src/embedded/server.ts'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { serverFacts } from '../../src/store/server-facts.ts'
import { startCluster } from './cluster.ts'

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string
  }
}

interface SharedRedis {
  readonly url: string
  readonly what: string
  readonly ours: boolean
  stop(): Promise<void>
}

const CLOSING_MS = 2000
const IMAGE = process.env.TEST_REDIS_IMAGE || 'redis:7.0.15'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = (await givenRedis()) ?? (await cluster()) ?? (await containerRedis()) ?? (await embeddedRedis())
  console.log(`Redis of the tests: ${redis.what}, ${await serverOf(redis.url)}`)
  project.provide('redisUrl', redis.url)
  return async () => {
    try {
      // Workers look at their own connections; what is left here belongs to processes that a test started and forgot.
      // A server that was given may have other users.
      if (redis.ours) await refuseOpenConnections(redis.url)
    } finally {
      await redis.stop()
    }
  }
}

/** Which server it is, in its own words. */
async function serverOf(url: string): Promise<string> {
  const [server] = await serverFacts(parseRedisUrl(url))
  return `${server?.product} ${server?.version}`
}

async function givenRedis(): Promise<SharedRedis | undefined> {
  const url = process.env.TEST_REDIS_URL
  return url ? { url, what: 'TEST_REDIS_URL', ours: false, stop: async () => {} } : undefined
}

async function cluster(): Promise<SharedRedis | undefined> {
  if (process.env.TEST_REDIS_KIND !== 'cluster') return undefined
  const { url, close } = await startCluster()
  // Its nodes are connected with each other: what a test left open is found by the test's own file.
  return { url, what: 'cluster of three masters and three replicas', ours: false, stop: close }
}

async function containerRedis(): Promise<SharedRedis | undefined> {
  // Its helper container would be one more image to get; we stop what we start.
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
  const { GenericContainer, ImageName, Wait, getContainerRuntimeClient } = await import('testcontainers')
  const engine = await getContainerRuntimeClient().catch(() => undefined)
  if (engine === undefined) return undefined
  try {
    const image = ImageName.fromString(IMAGE)
    if (!(await engine.image.exists(image))) await engine.image.pull(image)
    const container = await new GenericContainer(IMAGE)
      .withExposedPorts(6379)
      .withCommand(['redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--appendonly', 'yes'])
      .withWaitStrategy(Wait.forLogMessage(/eady to accept connections/))
      .start()
    return {
      url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
      what: `container ${IMAGE}`,
      ours: true,
      stop: async () => void (await container.stop()),
    }
  } catch (error) {
    console.log(`A Docker engine answers, but ${IMAGE} cannot be run: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

async function embeddedRedis(): Promise<SharedRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-tests-'))
  // Processes that tests start are given REDIS_URL, which cannot say a Unix socket.
  const { endpoint, stop } = await startEmbeddedRedis({
    dataDir,
    binary: process.env.REDIS_SERVER_BIN || undefined,
    transport: 'loopback',
    log: line => console.log(line),
  })
  if (!('port' in endpoint)) throw new Error('a loopback port was asked for')
  return {
    url: `redis://:${endpoint.password}@${endpoint.host}:${endpoint.port}`,
    what: 'embedded server',
    ours: true,
    async stop() {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** What a test's processes had is gone a moment after they are, and not before. */
async function refuseOpenConnections(url: string): Promise<void> {
  const deadlineMs = Date.now() + CLOSING_MS
  for (;;) {
    const left = await connections(url)
    if (left.length === 0) return
    if (Date.now() > deadlineMs) {
      throw new Error(`these connections to Redis outlived the tests that made them:\n${left.join('\n')}`)
    }
    await delay(50)
  }
}

/** The connections other than the one that asks, as Redis describes them. */
async function connections(url: string): Promise<string[]> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 })
  redis.on('error', () => {})
  try {
    const own = await redis.client('ID')
    const list = String(await redis.client('LIST')).trim()
    return list.split('\n').filter(line => !line.startsWith(`id=${own} `))
  } finally {
    redis.disconnect()
  }
}
