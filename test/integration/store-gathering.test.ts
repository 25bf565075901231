/** When what is asked over a connection for requests leaves: what is written, and not what is answered. */
import { describe, expect, it } from 'vitest'
import type { GatheringRedis } from '../../src/store/gathering-redis.ts'
import { scriptText } from '../../src/store/script-call.ts'
import { connectForRequests, isCluster, startPrivateRedis } from '../support/redis.ts'

const append = scriptText("return redis.call('APPEND', KEYS[1], ARGV[1])")

/** A connection over which the script was sent already; of what is written since, in scripts with a word of one letter. */
async function open() {
  // Nobody else makes that one forget scripts.
  const redis = connectForRequests((await startPrivateRedis()).url) as GatheringRedis
  const key = 'order'
  const call = (word: string) => redis.run(append, [key], [word])
  await call('')
  const first = redis.stream.bytesWritten
  await call('0')
  const each = redis.stream.bytesWritten - first
  const start = redis.stream.bytesWritten
  const written = () => (redis.stream.bytesWritten - start) / each
  return { redis, key, call, written }
}

describe.skipIf(isCluster())('scripts over a connection for requests', () => {
  it('leave four in a write, and what is left of a turn of the event loop at its end', async () => {
    const { call, written } = await open()
    const answers: Promise<unknown>[] = []
    const seen = Array.from({ length: 6 }, (_, i) => {
      answers.push(call(String(i)))
      return written()
    })
    expect(seen).toEqual([0, 0, 0, 4, 4, 4])
    await Promise.all(answers)
    expect(written()).toBe(6)
  })

  it('leave at once when a transaction is given, ahead of it', async () => {
    const { redis, call, written } = await open()
    const answers = [call('a'), call('b')]
    expect(written()).toBe(0)
    const transaction = redis.multi().ping().exec()
    const after = written()
    expect(after).toBeGreaterThan(2)
    answers.push(call('c'))
    expect(written()).toBe(after)
    await Promise.all([...answers, transaction])
    expect(written()).toBe(after + 1)
  })

  it('reach Redis in the order in which they were given, among whatever else is', async () => {
    const { redis, key, call } = await open()
    await Promise.all([
      call('1'),
      redis.append(key, '2'),
      call('3'),
      redis.multi().append(key, '4').exec(),
      redis.append(key, '5'),
      ...Array.from('678901', call),
      redis.append(key, '2'),
    ])
    expect(await redis.get(key)).toBe('0123456789012')
  })
})
