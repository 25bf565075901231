/** Keys of a wrong type, and records that cannot be read: whoever they belong to is concerned, and nobody else. */
import { describe, expect, it } from 'vitest'
import { callAdmin, type Feed, openLab } from '../support/feed.ts'
import { foreignSet, HAPPENED } from '../support/foreign-set.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const { redis } = lab

const forAll = (id: string) => ({ id, events: { [HAPPENED]: {} } })
const publish = (event: object) => callAdmin(lab.transmitter, 'POST', '/v1/events', event)

async function damageType(feed: Feed): Promise<void> {
  await redis.del(feed.keys.log)
  await redis.set(feed.keys.log, 'not a stream')
}

describe('a log of a wrong type', () => {
  it('fails what is published to its receiver, says what was taken by the others, and no other call', async () => {
    const damaged = await lab.feed()
    const sound = await lab.feed()
    await damageType(damaged)
    const answer = await publish({ ...forAll('one of two'), receivers: [damaged.id, sound.id] })
    expect(answer.status).toBe(500)
    expect(answer.body.deliveries).toMatchObject([
      { receiver: damaged.id, status: 'unavailable' },
      { receiver: sound.id, status: 'queued' },
    ])
    expect((await sound.pollNow()).jtis).toHaveLength(1)
    const items = [damaged, sound].map(({ id }) => ({ ...forAll(`in a batch ${id}`), receivers: [id] }))
    const batch = await callAdmin(lab.transmitter, 'POST', '/v1/events/batch', { items })
    expect(batch.body.results.map((result: { status: number }) => result.status)).toEqual([500, 202])
    expect((await sound.pollNow()).jtis).toHaveLength(1)
    await damaged.admin('DELETE', '?force=true')
  })

  it('fails its polls, held ones too, and its receiver can be deleted', async () => {
    const feed = await lab.feed()
    await damageType(feed)
    expect((await feed.poll()).status).toBe(500)
    expect((await feed.admin('DELETE', '?force=true')).status).toBe(204)
    expect((await feed.pollNow()).status).toBe(404)
  })
})

describe('a noted entry id that is none', () => {
  it('fails the call that publishes its SET again, and what was appended before it in the same step is found', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish('noted')
    await feed.ack((await feed.pollNow()).jtis)
    await redis.hset(feed.keys.ids, jti, 'no id')
    const items = ['before', 'noted', 'behind'].map(id => ({ ...forAll(id), receivers: [feed.id] }))
    const { body } = await callAdmin(lab.transmitter, 'POST', '/v1/events/batch', { items })
    expect(body.results.map((result: { status: number }) => result.status)).toEqual([500, 500, 500])
    await redis.hdel(feed.keys.ids, jti)
    const again = await callAdmin(lab.transmitter, 'POST', '/v1/events/batch', { items })
    const statuses = again.body.results.map(
      (result: { deliveries: { status: string }[] }) => result.deliveries[0]?.status,
    )
    expect(statuses).toEqual(['duplicate', 'duplicate', 'queued'])
    const page = await feed.pollNow()
    expect(page.jtis).toHaveLength(2)
    await feed.ack(page.jtis)
    expect(await feed.check()).toMatchObject({ queued: 0, inFlight: 0 })
  })
})

describe('a registry record that cannot be read', () => {
  it('is passed over by lists and by events for all, and the other receivers get theirs', async () => {
    const damaged = await lab.feed()
    const sound = await lab.feed()
    await redis.hset(damaged.keys.receiver, 'record', '{"audience":')
    const another = await lab.another()
    const answer = await callAdmin(another, 'POST', '/v1/events', forAll('for all'))
    expect(answer.status).toBe(202)
    expect(answer.body.deliveries.map(({ receiver }: { receiver: string }) => receiver)).toContain(sound.id)
    expect((await sound.pollNow()).jtis).toHaveLength(1)
    const list = await callAdmin(another, 'GET', '/v1/receivers?limit=1000')
    expect(list.body.items.map(({ id }: { id: string }) => id)).toContain(sound.id)
    await damaged.admin('DELETE', '?force=true')
  })

  it('is passed over as well when it was read before it broke, and heard of since', async () => {
    const damaged = await lab.feed()
    const sound = await lab.feed()
    expect((await publish(forAll('before'))).status).toBe(202)
    await redis.hset(damaged.keys.receiver, 'record', 'null')
    await redis.xadd(`${lab.prefix}:epoch`, '*', 'kind', 'receiver', 'id', damaged.id)
    await until('it is passed over', async () => {
      const { status, body } = await publish(forAll(`after ${Math.random()}`))
      expect(status).toBe(202)
      return !body.deliveries.some(({ receiver }: { receiver: string }) => receiver === damaged.id)
    })
    expect((await publish({ ...forAll('named'), receivers: [damaged.id] })).status).toBe(500)
    expect((await publish({ ...forAll('named too'), receivers: [sound.id] })).status).toBe(202)
    expect((await damaged.tryAppend(await foreignSet('jti-1', damaged.audience))).status).toBe(500)
    expect((await damaged.pollNow()).status).toBe(500)
    expect((await sound.pollNow()).status).toBe(200)
    await damaged.admin('DELETE', '?force=true')
  })
})
