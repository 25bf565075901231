/** Reports in `setErrs`: a final word that parks the SET and is kept (design, section 6: park; D-09, D-17, D-23). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab()
const REPORT = { err: 'invalid_audience', description: 'not for us' }

describe('a reported SET', () => {
  it('is parked with its reason, and the report is listed', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    const { status } = await feed.pollNow({ setErrs: { [jti]: REPORT } }, { headers: { 'content-language': 'en-GB' } })
    expect(status).toBe(200)
    expect((await feed.check()).states).toEqual(new Map([[jti, 'parked']]))
    const { body } = await feed.admin('GET', '/parked')
    expect(body.items).toEqual([
      expect.objectContaining({ jti, reason: 'reported', attempts: 1, language: 'en-GB', ...REPORT }),
    ])
    expect((await feed.admin('GET', '/errors')).body.items).toEqual([
      expect.objectContaining({ jti, attempts: 1, language: 'en-GB', ...REPORT }),
    ])
    expect(await feed.locate(jti)).toMatchObject({ state: 'parked', reason: 'reported', err: 'invalid_audience' })
  })

  it('is not delivered again, however long it is left (D-17)', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.report([jti])
    await lab.redis.xclaim(
      feed.keys.log,
      'poll',
      'parked',
      0,
      (await lab.redis.hget(feed.keys.ids, jti)) as string,
      'IDLE',
      3_600_000,
      'JUSTID',
    )
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ parked: 1 })
  })

  it('wins over an acknowledgement in the same request (D-09)', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.pollNow({ ack: [jti], setErrs: { [jti]: REPORT } })
    expect((await feed.check()).states.get(jti)).toBe('parked')
    expect(await feed.stats()).toMatchObject({ acked: 0 })
  })

  it('stays parked when it is acknowledged later (D-23), and when it is reported again', async () => {
    const feed = await lab.feed()
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.report([jti], REPORT)
    await feed.ack([jti])
    await feed.report([jti], { err: 'other' })
    expect((await feed.check()).states.get(jti)).toBe('parked')
    expect((await feed.admin('GET', '/errors')).body.items).toHaveLength(1)
    expect(await feed.locate(jti)).toMatchObject({ err: REPORT.err })
  })

  it('is parked while owed again as well as while in flight', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const jti = await feed.publish()
    await feed.pollNow()
    await feed.age(1000)
    await feed.pollNow({ maxEvents: 0 })
    expect(await feed.check()).toMatchObject({ owedAgain: 1 })
    await feed.report([jti])
    expect(await feed.check()).toMatchObject({ parked: 1, owedAgain: 0 })
  })
})

describe('a report about a SET that is not this receiver’s to refuse', () => {
  it('changes nothing when it was never delivered, or already acknowledged', async () => {
    const feed = await lab.feed()
    const [sent, unsent] = [await feed.publish(), await feed.publish()]
    await feed.pollNow({ maxEvents: 1 })
    await feed.ack([sent])
    await feed.report([sent, unsent, 'unknown'])
    expect((await feed.check()).states).toEqual(new Map([[unsent, 'queued']]))
    expect((await feed.admin('GET', '/errors')).body.items).toEqual([])
  })
})

describe('reports', () => {
  it('are listed newest first, in pages', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(5)
    await feed.pollNow()
    for (const jti of jtis) await feed.report([jti], { err: `code_${jtis.indexOf(jti)}` })
    const first = (await feed.admin('GET', '/errors?limit=3')).body
    expect(first.items.map(({ err }: { err: string }) => err)).toEqual(['code_4', 'code_3', 'code_2'])
    const second = (await feed.admin('GET', `/errors?limit=3&cursor=${first.next}`)).body
    expect(second.items.map(({ err }: { err: string }) => err)).toEqual(['code_1', 'code_0'])
    expect(second.next).toBeUndefined()
  })

  it('are logged by a worker, also when the job that should have done it was lost', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(3)
    await feed.pollNow()
    await feed.report(jtis.slice(0, 2))
    // It is added beside the answer: lost before that, it would come back halfway.
    const jobs = `{${lab.prefix}:jobs}:set-errors`
    await until('the job is there', async () => {
      const waiting = await lab.redis.lrange(`${jobs}:wait`, 0, -1)
      const data = await Promise.all(waiting.map(id => lab.redis.hget(`${jobs}:${id}`, 'data')))
      return data.some(text => text?.includes(feed.id))
    })
    for await (const keys of lab.redis.scanStream({ match: `{${lab.prefix}:jobs}*` })) {
      if (keys.length > 0) await lab.redis.unlink(keys)
    }
    await lab.another({}, ['workers'])
    await feed.report(jtis.slice(2))
    const [newest] = await lab.redis.xrevrange(feed.keys.errors, '+', '-', 'COUNT', 1)
    await until('the worker has logged all reports', async () => {
      return (await lab.redis.hget(feed.keys.counts, 'loggedReport')) === newest?.[0]
    })
  })
})
