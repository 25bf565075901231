/**
 * The Redis that all test files share: TEST_REDIS_URL, else a container where a Docker engine answers and has the
 * image, else the server binary of the embedded default. Never an imitation.
 */
import { Redis } from 'ioredis'
import type { TestProject } from 'vitest/node'
import { startRedisProcess } from './redis-process.ts'

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string
  }
}

interface SharedRedis {
  readonly url: string
  readonly what: string
  stop(): Promise<void>
}

const IMAGE = process.env.TEST_REDIS_IMAGE || 'redis:7.0.15'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = (await givenRedis()) ?? (await containerRedis()) ?? (await embeddedRedis())
  const before = await connections(redis.url)
  console.log(`Redis of the tests: ${redis.what}`)
  project.provide('redisUrl', redis.url)
  return async () => {
    try {
      const left = (await connections(redis.url)).filter(id => !before.includes(id))
      // Workers look at their own connections; what is seen here belongs to processes that a test started and left.
      if (left.length > 0) throw new Error(`${left.length} connection(s) to Redis outlived the tests`)
    } finally {
      await redis.stop()
    }
  }
}

async function givenRedis(): Promise<SharedRedis | undefined> {
  const url = process.env.TEST_REDIS_URL
  return url ? { url, what: 'TEST_REDIS_URL', stop: async () => {} } : undefined
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
      stop: async () => void (await container.stop()),
    }
  } catch (error) {
    console.log(`A Docker engine answers, but ${IMAGE} cannot be run: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

async function embeddedRedis(): Promise<SharedRedis> {
  const server = await startRedisProcess()
  return { url: server.url, what: 'embedded server', stop: () => server.close() }
}

/** Ids of the connections other than the one that asks. */
async function connections(url: string): Promise<string[]> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 })
  redis.on('error', () => {})
  try {
    const [own, list] = await Promise.all([redis.client('ID'), redis.client('LIST')])
    return String(list)
      .split('\n')
      .flatMap(line => /^id=(\d+)/.exec(line)?.[1] ?? [])
      .filter(id => id !== String(own))
  } finally {
    redis.disconnect()
  }
}
