/** A script over a connection for requests: what it answers, and what becomes of it when something goes wrong. */
import { ReplyError } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { GatheringRedis } from '../../src/store/gathering-redis.ts'
import { scriptText } from '../../src/store/script-call.ts'
import { connect, connectForRequests, isCluster, startPrivateRedis, testPrefix } from '../support/redis.ts'
import { until } from '../support/until.ts'

const count = scriptText("return redis.call('INCR', KEYS[1])")
const forRequests = (url?: string) => connectForRequests(url) as GatheringRedis
const key = () => `${testPrefix()}:count`

describe.skipIf(isCluster())('a script over a connection for requests', () => {
  it('is answered with what it returned, whatever the words', async () => {
    const echo = scriptText('return {KEYS[1], {ARGV[1], {ARGV[2]}, 7}, false, tonumber(ARGV[3]), {}}')
    const words = ['ä\r\n"\u0000😀', '', -12]
    const answer = ['größe', ['ä\r\n"\u0000😀', [''], 7], null, -12, []]
    const redis = forRequests()
    const [first, second] = await Promise.all([redis.run(echo, ['größe'], words), redis.run(echo, ['größe'], words)])
    expect(first).toEqual(answer)
    expect(second).toEqual(answer)
    expect(await redis.run(echo, ['a'], ['b', 'c', 3])).toEqual(['a', ['b', ['c'], 7], null, 3, []])
  })

  it('is sent whole when Redis has forgotten it, once for all that are asked at that time', async () => {
    const server = await startPrivateRedis()
    const redis = forRequests(server.url)
    const run = (calls: number) => Promise.all(Array.from({ length: calls }, () => redis.run(count, ['n'], [])))
    const wholes = async () => /cmdstat_eval:calls=(\d+),/.exec(await redis.info('commandstats'))?.[1]
    expect((await run(100)).toSorted()).toEqual(Array.from({ length: 100 }, (_, i) => i + 1).toSorted())
    expect(await wholes()).toBe('1')
    await redis.script('FLUSH')
    await run(100)
    expect(await wholes()).toBe('2')
    expect(await run(1)).toEqual([201])
    expect(await wholes()).toBe('2')
  })

  it('is sent whole by another call when the one that was to bring it is refused', async () => {
    const server = await startPrivateRedis()
    const redis = forRequests(server.url)
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    await admin.acl('SETUSER', 'default', '-eval')
    const refused = await Promise.allSettled([redis.run(count, ['n'], []), redis.run(count, ['n'], [])])
    for (const call of refused) expect(call).toMatchObject({ reason: { message: expect.stringContaining('NOPERM') } })
    await admin.acl('SETUSER', 'default', '+eval')
    expect(await redis.run(count, ['n'], [])).toBe(1)
  })

  it('leaves before the connection is closed when it was asked before', async () => {
    const { url } = await startPrivateRedis() // Which nobody else makes forget the script.
    const redis = forRequests(url)
    await redis.run(count, ['n'], [])
    const call = redis.run(count, ['n'], [])
    redis.disconnect()
    await call.catch(() => {}) // Whether it is answered depends on what comes first.
    const other = forRequests(url)
    await until('it has run', async () => (await other.get('n')) === '2')
  })

  it('that fails is answered with its own error, without what was sent', async () => {
    const redis = forRequests()
    const failing = redis.run(scriptText("return redis.call('HGET', KEYS[1])"), ['secret'], ['secret'])
    const error: unknown = await failing.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ReplyError)
    expect(error).toMatchObject({ message: expect.stringContaining('Wrong number of args') })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('is sent again when the connection breaks before it has left', async () => {
    const redis = forRequests()
    const name = key()
    expect(await redis.run(count, [name], [])).toBe(1)
    const answers = [redis.run(count, [name], []), redis.run(count, [name], [])]
    redis.stream.destroy()
    answers.push(redis.run(count, [name], []))
    expect(await Promise.all(answers)).toEqual([2, 3, 4])
  })

  it('is given up in time, and then not sent again', async () => {
    const server = await startPrivateRedis()
    const redis = forRequests(server.url)
    expect(await redis.run(count, ['n'], [])).toBe(1)
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    await admin.client('PAUSE', 3000, 'ALL')
    const startedMs = performance.now()
    const call = redis.run(count, ['n'], [])
    redis.stream.destroy()
    await expect(call).rejects.toMatchObject({ code: 'store_unavailable', cause: { message: 'Command timed out' } })
    expect(performance.now() - startedMs).toBeLessThan(2000)
    await until('it is connected again', () => redis.status === 'ready', 10_000)
    expect(await redis.run(count, ['n'], [])).toBe(2)
  })

  it('is given up in time also when those before it were answered', async () => {
    const server = await startPrivateRedis()
    const redis = forRequests(server.url)
    await redis.run(count, ['n'], [])
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    await admin.client('PAUSE', 60_000, 'ALL')
    const startedMs = performance.now()
    const calls = await Promise.allSettled([redis.run(count, ['n'], []), redis.run(count, ['n'], [])])
    expect(performance.now() - startedMs).toBeLessThan(2000)
    for (const call of calls) expect(call).toMatchObject({ reason: { code: 'store_unavailable' } })
  })

  it('is refused at once over a connection that was closed', async () => {
    const redis = forRequests()
    await redis.run(count, [key()], [])
    await redis.quit()
    await expect(redis.run(count, [key()], [])).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe.skipIf(isCluster())('a command over a connection for requests', () => {
  it('is answered in the order of what is asked around it, whatever the words', async () => {
    const redis = forRequests()
    const [log, counter] = [key(), key()]
    const entries = [
      ['1-1', ['kind', 'größe']],
      ['2-1', ['id', '']],
    ]
    for (const [id, fields] of entries) await redis.call('XADD', log, id as string, ...(fields as string[]))
    const answers = await Promise.all([
      redis.run(count, [counter], []),
      redis.ask(['XRANGE', log, '-', '+', 'COUNT', 10]),
      redis.get(counter),
      redis.ask(['XRANGE', log, '(2-1', '+']),
      redis.run(count, [counter], []),
    ])
    expect(answers).toEqual([1, entries, '1', [], 2])
    expect(await redis.ask(['ECHO', 'ä\r\n😀'])).toBe('ä\r\n😀')
  })

  it('that fails is answered with its own error, and given up in time when nothing comes', async () => {
    const server = await startPrivateRedis()
    const redis = forRequests(server.url)
    await expect(redis.ask(['XRANGE', 'secret', 'secret', '+'])).rejects.toSatisfy(
      (error: Error) => error instanceof ReplyError && !JSON.stringify(error).includes('secret'),
    )
    await connect({ replyMapping: 'legacy' }, server.url).client('PAUSE', 60_000, 'ALL')
    const asked = redis.ask(['XRANGE', 'log', '-', '+'])
    await expect(asked).rejects.toMatchObject({ code: 'store_unavailable', cause: { message: 'Command timed out' } })
  })

  it('is sent again when the connection breaks', async () => {
    const redis = forRequests()
    expect(await redis.ask(['XRANGE', key(), '-', '+'])).toEqual([])
    const asked = redis.ask(['XRANGE', key(), '-', '+'])
    redis.stream.destroy()
    expect(await asked).toEqual([])
  })
})
