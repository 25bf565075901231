/** SETs issued elsewhere: taken or refused, and delivered byte for byte (RFC 8935 §2; D-27). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { foreignSet } from '../support/foreign-set.ts'

const lab = await openLab()

describe('a SET issued elsewhere', () => {
  it('is delivered byte for byte, the first time and every other', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const token = await feed.append('elsewhere-1')
    expect((await feed.pollNow()).sets).toEqual(new Map([['elsewhere-1', token]]))
    await feed.age(1000)
    expect((await feed.pollNow()).sets).toEqual(new Map([['elsewhere-1', token]]))
    await feed.report(['elsewhere-1'])
    await feed.admin('POST', '/parked/requeue', { all: true })
    expect((await feed.pollNow()).sets).toEqual(new Map([['elsewhere-1', token]]))
    await feed.check()
  })

  it('is a duplicate when it comes again, also after its acknowledgement, and a conflict with other bytes', async () => {
    const feed = await lab.feed()
    const token = await feed.append('twice')
    const other = await foreignSet('twice', feed.audience)
    expect(other).not.toBe(token)
    expect((await feed.tryAppend(token)).body).toEqual({ jti: 'twice', status: 'duplicate' })
    const refused = await feed.tryAppend(other)
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    expect((await feed.pollNow()).sets.get('twice')).toBe(token)
    await feed.ack(['twice'])
    expect((await feed.tryAppend(token)).body).toEqual({ jti: 'twice', status: 'duplicate' })
    expect(await feed.check()).toMatchObject({ queued: 0 })
  })

  it('may have a jti that is hostile to objects, to URLs or to terminals', async () => {
    const feed = await lab.feed()
    const jtis = ['__proto__', 'constructor', '12', 'a/b?c#d %', 'ünïcødé ✓', '"quoted"\\', 'new\nline', '{x}']
    for (const jti of jtis) await feed.append(jti)
    const { text } = await feed.pollNow()
    for (const jti of jtis) expect(text).toContain(`${JSON.stringify(jti)}:"`)
    for (const jti of jtis) expect((await feed.locate(jti)).jti).toBe(jti)
    await feed.ack(jtis.slice(0, 4))
    expect([...(await feed.check()).states.keys()].toSorted()).toEqual(jtis.slice(4).toSorted())
  })

  it('goes to the receiver of its audience only, and leaves another with the same jti alone', async () => {
    const [mine, theirs] = [await lab.feed(), await lab.feed()]
    const token = await mine.append('shared')
    expect((await theirs.tryAppend(token)).status).toBe(400)
    const own = await theirs.append('shared')
    await mine.pollNow()
    await mine.ack(['shared'])
    expect((await theirs.pollNow()).sets.get('shared')).toBe(own)
  })
})
