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
  it('leave four in a write, and what is left of a turn of the event loop at its end', async () => {
    const { redis, unsent } = await open()
    const answers: Promise<unknown>[] = []
    const waiting = Array.from({ length: 6 }, () => {
      answers.push(redis.ping())
      return unsent()
    })
    const one = waiting[0]!
    expect(one).toBeGreaterThan(0)
    expect(waiting).toEqual([one, 2 * one, 3 * one, 0, one, 2 * one])
    await Promise.all(answers)
    expect(unsent()).toBe(0)
  })

  it('leave at once when they are a transaction, and with it what was given before', async () => {
    const { redis, unsent } = await open()
    const written = redis.stream.bytesWritten
    const answers: Promise<unknown>[] = [redis.multi().ping().exec()]
    expect(redis.stream.bytesWritten).toBeGreaterThan(written)
    expect(unsent()).toBe(0)
    answers.push(redis.ping())
    expect(unsent()).toBeGreaterThan(0)
    answers.push(redis.multi().ping().exec())
    expect(unsent()).toBe(0)
    answers.push(redis.ping())
    expect(unsent()).toBeGreaterThan(0)
    await Promise.all(answers)
    expect(unsent()).toBe(0)
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
