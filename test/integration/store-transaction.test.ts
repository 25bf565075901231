/**
 * What was read behind a script that did not want it (see src/store/scripts/take_back.lua), and what happens around it:
 * other processes, a time that passes, connections that break.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Command, type Redis } from 'ioredis'
import { beforeAll, describe, expect, it } from 'vitest'
import { keysFor } from '../../src/store/keys.ts'
import type { PollAndRead } from '../../src/store/poll-transaction.ts'
import { ReceiverStore } from '../../src/store/receiver-store.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import type { PollStep } from '../../src/store/set-poll.ts'
import { ANY_AGE, SetStore } from '../../src/store/set-store.ts'
import { connect, connectForRequests, isCluster, startPrivateRedis, testPrefix } from '../support/redis.ts'
import { until } from '../support/until.ts'

const PAGE = 20
const R = 3_600_000
const prefix = testPrefix()
const keys = keysFor(prefix)
const redis = connect({ replyMapping: 'legacy' })
const scripts = scriptsOn(isCluster() ? redis : connectForRequests())
const [store, other] = [new SetStore(scripts, keys), new SetStore(scriptsOn(redis), keys)]
const receivers = new ReceiverStore(redis, scripts, keys)
const shared = { receivers, store, other }
const limits = {
  redeliverAfterMs: R,
  maxAttempts: 0,
  parkAfterMs: 0,
  expireAfterMs: 0,
  retainAckedMs: 0,
  dedupeWindowMs: R,
  backlogMax: 1000,
  backlogBytesMax: 1_000_000,
}
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `s${from + i}`)
let made = 0

function step(more: Partial<PollStep> = {}): PollStep {
  return { ack: [], reports: [], limit: PAGE, bytesMax: 1e6, idlePollsMax: 0, answeredAtOnce: true, ...more }
}

const jtis = (page: { sets: readonly { jti: string }[] }) => page.sets.map(set => set.jti)

/** A receiver with three pages of SETs, of which the first was handed out and acknowledged. */
async function busy(on: { receivers: ReceiverStore; store: SetStore; other: SetStore } = shared): Promise<string> {
  const { receivers, store, other } = on
  const id = `b-${made++}`
  await receivers.create({ id, audience: 'https://receiver.example' }, 1)
  await store.poll(id, step(), limits) // Makes the group.
  const sets = names(0, 3 * PAGE).map(jti => ({ jti, set: `a.${jti}.b`, digest: jti, repeatable: true }))
  await store.append(id, sets, limits)
  expect(jtis(await store.poll(id, step(), limits))).toEqual(names(0, PAGE))
  await other.poll(id, step({ limit: 0, ack: names(0, PAGE) }), limits)
  return id
}

/** A transaction whose script wants no page, and what it read all the same. */
async function unwanted(id: string, redeliverAfterMs = R): Promise<PollAndRead> {
  const k = keys.of(id)
  const done = await scripts.pollAndRead!(
    [k.log, k.ids, k.why, k.errors, k.done0, k.done1, k.acked, k.counts, k.receiver],
    [PAGE, 1e6, redeliverAfterMs, 0, 0, 0, R, 0, '1', 0, 0, '0', 1, '1', 'unknown'],
    PAGE,
  )
  expect(done).toMatchObject({ reply: ['again', expect.any(Number)], page: undefined })
  expect(done?.unasked.map(({ jti }) => jti)).toEqual(names(PAGE, 2 * PAGE))
  return done as PollAndRead
}

function takeBack(id: string, { unasked, readAtMs }: PollAndRead, token: string = randomUUID(), on = scripts) {
  const k = keys.of(id)
  return on.take_back(
    [k.log, k.ids, k.why, k.receiver, k.wake, k.taken],
    [token, readAtMs + 5000, ...unasked.flatMap(({ id: entry, jti }) => [entry, jti])],
  )
}

const pendingOf = async (id: string) => ((await redis.xpending(keys.of(id).log, 'poll')) as unknown[])[3]

describe.skipIf(isCluster())('what a script did not want', () => {
  it('is queued again as it was', async () => {
    const id = await busy()
    const done = await unwanted(id)
    expect(await takeBack(id, done)).toBe(PAGE)
    expect(await pendingOf(id)).toBeNull()
    const page = await other.poll(id, step(), limits)
    expect([jtis(page), page.sets[0]?.attempt]).toEqual([names(PAGE, 2 * PAGE), 1])
  })

  it('is taken back once, also when the command is sent again after another process handed the same out', async () => {
    const id = await busy()
    const done = await unwanted(id)
    const token = randomUUID()
    await takeBack(id, done, token)
    expect(jtis(await other.poll(id, step(), limits))).toEqual(names(PAGE, 2 * PAGE))
    expect(await takeBack(id, done, token)).toBe(0)
    // Acknowledged is acknowledged (guarantee 2).
    const page = await other.poll(id, step({ ack: names(PAGE, 2 * PAGE) }), limits)
    expect([page.settled, jtis(page)]).toEqual([PAGE, names(2 * PAGE, 3 * PAGE)])
  })

  it('is taken back before the script alone runs, also when Redis has forgotten how to', async () => {
    const [id, another] = [await busy(), await busy()]
    await redis.hset(keys.of(id).receiver, 'status', 'paused')
    expect((await store.poll(id, step(), limits)).count).toBe(0) // By now this connection has sent both scripts.
    await redis.hset(keys.of(id).receiver, 'status', 'enabled')
    const page = await store.poll(id, step(), limits)
    expect(jtis(page)).toEqual(names(PAGE, 2 * PAGE))
    const lapsed = await redis.hmget(keys.of(id).ids, ...names(PAGE, PAGE + 4))
    for (const entry of lapsed) {
      await redis.xclaim(keys.of(id).log, 'poll', 'inflight', 0, String(entry), 'IDLE', R, 'JUSTID')
    }
    await redis.script('FLUSH')
    await other.poll(another, step({ limit: 1 }), limits) // Which brings one of the two back.
    const next = await store.poll(id, step(), limits)
    expect(jtis(next)).toEqual([...names(PAGE, PAGE + 4), ...names(2 * PAGE, 3 * PAGE - 4)])
  })

  it('is left to lapse when it comes too late', async () => {
    const id = await busy()
    const done = await unwanted(id)
    expect(await takeBack(id, { ...done, readAtMs: done.readAtMs - 60_000 })).toBe(0)
    expect(await pendingOf(id)).toEqual([['inflight', String(PAGE)]])
  })

  it('stays with whom it was handed to when it had lapsed meanwhile', async () => {
    const id = await busy()
    const done = await unwanted(id)
    for (const { id: entry } of done.unasked) {
      await redis.xclaim(keys.of(id).log, 'poll', 'inflight', 0, entry, 'IDLE', R, 'JUSTID')
    }
    const again = await other.poll(id, step(), limits)
    const handedOut = jtis(again).filter(jti => names(PAGE, 2 * PAGE).includes(jti))
    expect(handedOut.length).toBeGreaterThan(0)
    await takeBack(id, done)
    const page = await other.poll(id, step({ ack: handedOut }), limits)
    expect(page.settled).toBe(handedOut.length)
    expect(jtis(page).filter(jti => handedOut.includes(jti))).toEqual([])
  })

  it('stays parked when a disabled receiver’s SETs were parked meanwhile', async () => {
    const id = await busy()
    await redis.hset(keys.of(id).receiver, 'status', 'disabled')
    const done = await unwanted(id)
    await store.expire(id, 'disabled', ANY_AGE, 1000)
    await takeBack(id, done)
    expect(await pendingOf(id)).toEqual([['parked', String(2 * PAGE)]])
    await redis.hset(keys.of(id).receiver, 'status', 'enabled')
    expect((await other.poll(id, step(), limits)).count).toBe(0)
  })

  it('is owed again, as never handed out, once others have read on', async () => {
    const id = await busy()
    const done = await unwanted(id)
    expect(jtis(await other.poll(id, step(), limits))).toEqual(names(2 * PAGE, 3 * PAGE))
    expect(await takeBack(id, done)).toBe(PAGE)
    const page = await other.poll(id, step(), limits)
    expect([jtis(page), page.sets[0]?.attempt]).toEqual([names(PAGE, 2 * PAGE), 1])
  })

  it('and is final already is not handed out, even if nobody ever took it back', async () => {
    const id = await busy()
    const done = await unwanted(id)
    const [first, second] = done.unasked
    // As it was before the group was lost: one is final and still in the log, one is parked.
    await redis.hdel(keys.of(id).ids, first!.jti)
    await redis.hset(keys.of(id).why, second!.jti, '{"reason":"attempts","atMs":1,"attempts":3}')
    for (const { id: entry } of done.unasked) {
      await redis.xclaim(keys.of(id).log, 'poll', 'inflight', 0, entry, 'IDLE', R, 'JUSTID')
    }
    const seen = [
      ...jtis(await other.poll(id, step({ limit: 100 }), limits)),
      ...jtis(await other.poll(id, step(), limits)),
    ]
    expect(seen.toSorted()).toEqual(names(PAGE + 2, 3 * PAGE).toSorted())
    expect(await pendingOf(id)).toContainEqual(['parked', '1'])
  })
})

describe('a busy receiver whose log was emptied by another hand', () => {
  it('is told so by the next poll, and its index is mended', async () => {
    const id = await busy()
    const next = await store.poll(id, step(), limits)
    expect(next.moreAvailable).toBe(true)
    await redis.xtrim(keys.of(id).log, 'MAXLEN', 0)
    const acked = await store.poll(id, step({ ack: jtis(next) }), limits)
    expect([acked.count, acked.moreAvailable]).toEqual([0, false])
    expect(await redis.hlen(keys.of(id).ids)).toBe(0)
  })
})

describe('a transaction that a server refuses as read-only', () => {
  let server: Awaited<ReturnType<typeof startPrivateRedis>>
  beforeAll(async () => {
    server = await startPrivateRedis()
  })

  it('is not sent again in parts', async () => {
    const client = connectForRequests(server.url) as Redis
    const direct = connect({ replyMapping: 'legacy' }, server.url)
    await direct.xadd('log', '*', 'jti', 'a', 'set', 'b', 'digest', 'c')
    await direct.xgroup('CREATE', 'log', 'poll', '0')
    await client.ping()
    await direct.replicaof('127.0.0.1', 1)
    const closed = once(client, 'close')
    const transaction = client.multi()
    transaction.xreadgroup('GROUP', 'poll', 'inflight', 'COUNT', 1, 'STREAMS', 'log', '>')
    const refused = transaction.exec().then(
      () => 'done',
      () => 'refused',
    )
    await closed
    await direct.replicaof('NO', 'ONE')
    expect(await refused).toBe('refused')
    await client.ping()
    expect(((await direct.xpending('log', 'poll')) as unknown[])[0]).toBe(0)
    // As ioredis gives it back when replies came in pieces and another transaction had begun between them.
    const part = new Command('xreadgroup', ['GROUP', 'poll', 'inflight', 'STREAMS', 'log', '>'])
    part.inTransaction = true
    await expect(client.sendCommand(part)).rejects.toThrow('aborted')
    expect(((await direct.xpending('log', 'poll')) as unknown[])[0]).toBe(0)
  })
})

describe('a user of Redis that may not use transactions', () => {
  it('has its pages read by the script alone, each SET once and none late', async () => {
    const server = await startPrivateRedis()
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    await admin.acl('SETUSER', 'polls', 'on', '>secret', '~*', '&*', '+@all', '-multi')
    const own = scriptsOn(connectForRequests(server.url.replace('//', '//polls:secret@')))
    const [ownStore, ownOther] = [new SetStore(own, keys), new SetStore(scriptsOn(admin), keys)]
    const id = await busy({ receivers: new ReceiverStore(admin, own, keys), store: ownStore, other: ownOther })
    await admin.config('RESETSTAT')
    expect(jtis(await ownStore.poll(id, step(), limits))).toEqual(names(PAGE, 2 * PAGE))
    // It was tried.
    expect(await admin.info('errorstats')).toContain('errorstat_NOPERM:count=1')
    const last = await ownStore.poll(id, step({ ack: names(PAGE, 2 * PAGE) }), limits)
    expect([last.settled, jtis(last)]).toEqual([PAGE, names(2 * PAGE, 3 * PAGE)])
  })
})

describe('a Redis that is slow to answer', () => {
  it('is not asked a second time: the caller is told within two seconds, and what was read is queued again', async () => {
    const server = await startPrivateRedis()
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    const own = scriptsOn(connectForRequests(server.url))
    const [ownStore, ownOther] = [new SetStore(own, keys), new SetStore(scriptsOn(admin), keys)]
    const id = await busy({ receivers: new ReceiverStore(admin, own, keys), store: ownStore, other: ownOther })
    expect(jtis(await ownStore.poll(id, step({ ack: ['unknown'] }), limits))).toEqual(names(PAGE, 2 * PAGE))
    await ownOther.poll(id, step({ limit: 0, ack: names(PAGE, 2 * PAGE) }), limits)
    const more = names(3 * PAGE, 5 * PAGE).map(jti => ({ jti, set: `a.${jti}.b`, digest: jti, repeatable: true }))
    await ownStore.append(id, more, limits)
    expect(jtis(await ownStore.poll(id, step(), limits))).toEqual(names(2 * PAGE, 3 * PAGE))
    await ownOther.poll(id, step({ limit: 0, ack: names(2 * PAGE, 3 * PAGE) }), limits)
    await admin.client('PAUSE', 1000, 'ALL')
    const startedMs = performance.now()
    // What is acknowledged is unknown, so that the script cannot want the page that is read behind it.
    const poll = ownStore.poll(id, step({ ack: ['unknown'] }), limits)
    await expect(poll).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(performance.now() - startedMs).toBeLessThan(2000)
    await until('it is queued again', async () => {
      const [total] = (await admin.xpending(keys.of(id).log, 'poll')) as unknown[]
      return total === 0
    })
    const page = await ownOther.poll(id, step(), limits)
    expect([jtis(page), page.sets[0]?.attempt]).toEqual([names(3 * PAGE, 4 * PAGE), 1])
  })
})

describe.skipIf(isCluster())('a page that comes after its caller was told that it would not', () => {
  it('is owed again at once, and its attempt does not count', async () => {
    const server = await startPrivateRedis()
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    const own = scriptsOn(connectForRequests(server.url))
    const [ownStore, ownOther] = [new SetStore(own, keys), new SetStore(scriptsOn(admin), keys)]
    const id = await busy({ receivers: new ReceiverStore(admin, own, keys), store: ownStore, other: ownOther })
    await admin.client('PAUSE', 2500, 'ALL')
    await expect(ownStore.poll(id, step({ limit: 3 }), limits)).rejects.toMatchObject({ code: 'store_unavailable' })
    await until('they are owed again', async () => {
      const [, , , consumers] = (await admin.xpending(keys.of(id).log, 'poll')) as [unknown, unknown, unknown, unknown]
      return JSON.stringify(consumers) === '[["due","3"]]'
    })
    const page = await ownOther.poll(id, step({ limit: 3 }), limits)
    expect([jtis(page).length, page.sets[0]?.attempt]).toEqual([3, 1])
  })
})

describe('more pages than may be under way', () => {
  /** Twenty of these go at once. */
  const RECEIVERS = 30

  /** Receivers with a page each that a transaction may read, on a connection that has read one so. */
  async function manyBusy(server: { url: string }, user = '') {
    const admin = connect({ replyMapping: 'legacy' }, server.url)
    if (user !== '') await admin.acl('SETUSER', user, 'on', '>secret', '~*', '&*', '+@all')
    const url = user === '' ? server.url : server.url.replace('//', `//${user}:secret@`)
    const own = scriptsOn(connectForRequests(url))
    const [ownStore, ownOther] = [new SetStore(own, keys), new SetStore(scriptsOn(admin), keys)]
    const on = { receivers: new ReceiverStore(admin, own, keys), store: ownStore, other: ownOther }
    const ids: string[] = []
    for (let i = 0; i < RECEIVERS; i++) ids.push(await busy(on))
    await admin.config('RESETSTAT')
    await ownStore.poll(await busy(on), step(), limits)
    expect(await admin.info('commandstats')).toContain('cmdstat_exec:calls=2,') // One was empty, to see whether it may.
    return { admin, ids, ownStore }
  }

  it('keep none of those who asked waiting for longer than two seconds when Redis does not answer', async () => {
    const { admin, ids, ownStore } = await manyBusy(await startPrivateRedis())
    await admin.client('PAUSE', 60_000, 'ALL')
    const startedMs = performance.now()
    const polls = await Promise.allSettled(ids.map(id => ownStore.poll(id, step(), limits)))
    expect(performance.now() - startedMs).toBeLessThan(2000)
    for (const poll of polls) expect(poll).toMatchObject({ reason: { code: 'store_unavailable' } })
  })

  it('are read by the script alone once a transaction before them was refused', async () => {
    const { admin, ids, ownStore } = await manyBusy(await startPrivateRedis(), 'polls')
    await admin.acl('SETUSER', 'polls', '-multi')
    const pages = await Promise.all(ids.map(id => ownStore.poll(id, step(), limits)))
    // Sent in parts, as those before them, it would have been the page after this one.
    expect(pages.slice(20).map(jtis)).toEqual(Array.from({ length: RECEIVERS - 20 }, () => names(PAGE, 2 * PAGE)))
  })
})
