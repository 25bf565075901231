/** Connections: that those for requests reach the same server as all others, and that they end while Redis is away. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { openResources } from '../../src/resources.ts'
import { type Client, parseRedisUrl, singleTarget } from '../../src/store/connection.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { freePort } from '../support/redis-process.ts'

const TOLD_WITHIN_MS = 5000

/** Nobody listens there, so that each attempt is refused. */
const closedPort = await freePort()
const urls = [
  ['a server', `redis://127.0.0.1:${closedPort}`],
  ['a cluster', `redis+cluster://127.0.0.1:${closedPort}`],
] as const

/**
 * Resolves within the event, since the wait for an attempt is short. Not `once` of node:events: that fails at the first
 * 'error', and each refused attempt is one.
 */
function told(client: Client, event: 'reconnecting' | 'end'): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`not told of within ${TOLD_WITHIN_MS} ms: ${event}`)), TOLD_WITHIN_MS)
  client.once(event, resolve)
  return promise.finally(() => clearTimeout(timer))
}

describe.for(urls)('the connection to %s, while it waits for its next attempt', ([, url]) => {
  it('ends when it is disconnected, and fails what waited for it', async () => {
    const client = parseRedisUrl(url).open('jobs')
    await told(client, 'reconnecting')
    const command = client.get('key').catch((error: Error) => error)
    client.disconnect()
    await told(client, 'end')
    expect(client.status).toBe('end')
    expect(await command).toBeInstanceOf(Error)
  })

  it('ends also where a node of it ended meanwhile, which changes its status and not that it waits', async () => {
    const client = parseRedisUrl(url).open('jobs')
    await told(client, 'reconnecting')
    client.status = 'close'
    client.disconnect()
    await told(client, 'end')
  })

  it('is not ended by that where it is connected anew right after, as BullMQ does with a cluster', async () => {
    const client = parseRedisUrl(url).open('jobs')
    await told(client, 'reconnecting')
    const statuses: string[] = []
    client.on('end', () => statuses.push(client.status))
    const end = told(client, 'end')
    client.disconnect()
    await client.connect().catch(() => {}) // Refused: what counts is that it was tried.
    await end
    // The end that was told is that of the attempt, and not of the wait before it.
    expect(statuses).toEqual(['end'])
  })
})

it('a connection for requests goes through the socket of the embedded server, as others do', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-test-'))
  const resources = await openResources(readConfig({ DATA_DIR: dataDir }), createLogger('silent'))
  try {
    const { redis: requests } = resources
    const jobs = resources.open('jobs')
    await requests.set('told', 'by requests')
    expect(await jobs.get('told')).toBe('by requests')
    // A copy would be of another kind, which reads into one buffer and does not copy what it keeps.
    const server = singleTarget({ host: '127.0.0.1', port: closedPort }).open('requests')
    expect(() => (server as Redis).duplicate()).toThrow('not duplicated')
    server.disconnect()
  } finally {
    await resources.close()
    await rm(dataDir, { recursive: true, force: true })
  }
})

it('a copy, as BullMQ makes them, ends like the connection that it was made of', async () => {
  const resources = await openResources(readConfig({ REDIS_URL: urls[0][1] }), createLogger('silent'))
  try {
    const connection = resources.open('jobs') as Redis
    const copy = connection.duplicate()
    await told(copy, 'reconnecting')
    copy.disconnect()
    await told(copy, 'end')
  } finally {
    await resources.close()
  }
})
