/** Connections that are ended while Redis is away: whoever waits for the end is told of it. */
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { openResources } from '../../src/resources.ts'
import { type Client, parseRedisUrl } from '../../src/store/connection.ts'
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
