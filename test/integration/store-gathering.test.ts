/** When what is asked over a connection for requests leaves: what is written, and not what is answered. */
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { connectForRequests, isCluster, testPrefix } from '../support/redis.ts'

async function open() {
  const redis = connectForRequests() as Redis
  await redis.ping()
  const unsent = () => redis.stream.writableLength
  return { redis, unsent }
}

describe.skipIf(isCluster())('commands over a connection for requests', () => {
  it('leave in one write at the end of a turn of the event loop', async () => {
    const { redis, unsent } = await open()
    const answers = [redis.ping()]
    const one = unsent()
    answers.push(redis.ping())
    expect(one).toBeGreaterThan(0)
    expect(unsent()).toBe(2 * one)
    await Promise.all(answers)
    expect(unsent()).toBe(0)
  })

  it('leave at once when they are a transaction', async () => {
    const { redis, unsent } = await open()
    const written = redis.stream.bytesWritten
    const answer = redis.multi().ping().exec()
    expect(redis.stream.bytesWritten).toBeGreaterThan(written)
    expect(unsent()).toBe(0)
    await answer
  })

  it('reach Redis in the order in which they were given, also those around a transaction', async () => {
    const { redis } = await open()
    const key = `${testPrefix()}:order`
    await Promise.all([
      redis.append(key, 'before '),
      redis.multi().append(key, 'transaction ').exec(),
      redis.append(key, 'after'),
    ])
    expect(await redis.get(key)).toBe('before transaction after')
  })
})
