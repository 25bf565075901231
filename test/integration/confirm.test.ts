/** What a 202 and an acknowledgement wait for: CONFIRM. */
import { afterAll, describe, expect, it } from 'vitest'
import { ConfirmedScripts } from '../../src/store/confirmed-scripts.ts'
import { parseRedisUrl } from '../../src/store/connection.ts'
import { openLab } from '../support/feed.ts'
import { connect, type PrivateRedis, startPrivateRedis, testPrefix } from '../support/redis.ts'
import { startTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

async function startReplica(of: PrivateRedis): Promise<PrivateRedis> {
  const replica = await startPrivateRedis({ args: ['--replicaof', '127.0.0.1', String(of.port)] })
  const redis = connect({}, replica.url)
  await until('it follows', async () => (await redis.info('replication')).includes('link_status:up'), 20_000)
  return replica
}

describe('replicated:1', async () => {
  const master = await startPrivateRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startReplica(master)
  const lab = await openLab({ REDIS_URL: master.url, CONFIRM: 'replicated:1' })
  afterAll(() => replica.thaw())

  it('answers once a replica has it', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([jti])
    await feed.ack([jti])
    expect(await feed.check()).toMatchObject({ inFlight: 0 })
  })

  it('answers 503 when none has it in time; the same call made again is a duplicate, and waits as well', async () => {
    const feed = await lab.feed()
    replica.freeze()
    const first = await feed.tryPublish({ id: 'once' })
    expect([first.status, first.body.deliveries[0].status]).toEqual([503, 'unavailable'])
    expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await feed.tryPublish({ id: 'once' })).status).toBe(503)
    replica.thaw()
    const again = await until('a replica has it', async () => {
      const answer = await feed.tryPublish({ id: 'once' })
      return answer.status === 202 && answer
    })
    expect(again.body.deliveries[0].status).toBe('duplicate')
    expect((await feed.pollNow()).jtis).toHaveLength(1)
  })

  it('gives back the page of a poll whose acknowledgements no replica has, and takes them when they are repeated', async () => {
    const feed = await lab.feed()
    const [first, second] = await feed.publishMany(2)
    expect((await feed.pollNow({ maxEvents: 1 })).jtis).toEqual([first])
    replica.freeze()
    const refused = await feed.pollNow({ ack: [first] })
    expect([refused.status, refused.jtis]).toEqual([503, []])
    expect(await feed.locate(second as string)).toMatchObject({ state: 'owedAgain', attempts: 0 })
    replica.thaw()
    const answer = await until('a replica has it', async () => {
      const poll = await feed.pollNow({ ack: [first] })
      return poll.status === 200 && poll
    })
    expect(answer.jtis).toEqual([second])
    expect(await feed.check()).toMatchObject({ inFlight: 1 })
  })

  it('hands nothing out that no replica knows of, and does not wait to say that there is nothing', async () => {
    const feed = await lab.feed()
    replica.freeze()
    const startedAt = performance.now()
    expect((await feed.pollNow()).status).toBe(200)
    expect(performance.now() - startedAt).toBeLessThan(900)
    replica.thaw()
    const jti = await feed.publish()
    replica.freeze()
    expect((await feed.pollNow()).status).toBe(503)
    replica.thaw()
    const { jtis } = await until('a replica has it', async () => {
      const poll = await feed.pollNow()
      return poll.status === 200 && poll
    })
    expect(jtis).toEqual([jti])
    expect(await feed.locate(jti)).toMatchObject({ attempts: 1 })
  })

  it('waits once for what arrives together', async () => {
    const feeds = await Promise.all(Array.from({ length: 20 }, () => lab.feed()))
    const redis = connect({}, master.url)
    const waits = async () => Number(/cmdstat_wait:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)
    const before = await waits()
    const { status } = await feeds[0]!.tryPublish({ id: 'for all', receivers: feeds.map(({ id }) => id) })
    expect(status).toBe(202)
    expect((await waits()) - before).toBeLessThanOrEqual(2)
  })

  it('goes on after the connections broke', async () => {
    const feed = await lab.feed()
    const redis = connect({}, master.url)
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('it is taken', async () => (await feed.tryPublish({ id: 'after' })).status === 202)
    expect((await feed.pollNow()).jtis).toHaveLength(1)
  })
})

describe('replicated:2 with one replica', async () => {
  it('refuses to confirm, and tells to come again', async () => {
    const master = await startPrivateRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    await startReplica(master)
    const lab = await openLab({ REDIS_URL: master.url, CONFIRM: 'replicated:2' })
    const feed = await lab.feed()
    expect((await feed.tryPublish({ id: 'one is not enough' })).status).toBe(503)
  })
})

describe('fsynced', () => {
  it('works with appendfsync always', async () => {
    const server = await startPrivateRedis({ args: ['--appendfsync', 'always'] })
    const lab = await openLab({ REDIS_URL: server.url, CONFIRM: 'fsynced' })
    const feed = await lab.feed()
    const jti = await feed.publish()
    await server.kill()
    await server.start()
    const { jtis } = await until('Redis is back', async () => {
      const answer = await feed.pollNow()
      return answer.status === 200 && answer
    })
    expect(jtis).toEqual([jti])
  })

  it('refuses the start with another appendfsync, or none', async () => {
    const server = await startPrivateRedis()
    const start = startTransmitter({ REDIS_URL: server.url, CONFIRM: 'fsynced' })
    await expect(start).rejects.toThrow(/appendfsync always/)
  })

  it('refuses the start where CONFIG GET is not allowed', async () => {
    const server = await startPrivateRedis({ args: ['--appendfsync', 'always'] })
    await connect({}, server.url).acl('SETUSER', 'default', '-config')
    const start = startTransmitter({ REDIS_URL: server.url, CONFIRM: 'fsynced' })
    await expect(start).rejects.toThrow(/CONFIG GET/)
  })
})

describe('scripts that replicas confirm', () => {
  it('are refused once they are closed, and so is what waited for its turn', async () => {
    const server = await startPrivateRedis()
    const confirmed = new ConfirmedScripts(parseRedisUrl(server.url), 1)
    const run = () => confirmed.run('trim', Array(4).fill(`{${testPrefix()}}`), [0, 0, 1])
    const waiting = run()
    confirmed.close()
    const answers = await Promise.allSettled([waiting, run()])
    expect(answers).toMatchObject(Array(2).fill({ status: 'rejected', reason: { code: 'store_unavailable' } }))
  })
})
