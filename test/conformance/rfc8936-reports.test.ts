/** RFC 8936 §2.6, RFC 8935 §2.4 and §4: what becomes of a SET that its receiver refused, and of what the receiver said. */
import { beforeAll, describe, expect, it } from 'vitest'
import { REGISTERED_SET_ERRORS } from '../../src/protocol/set-error.ts'
import { openLab } from '../support/feed.ts'
import type { TransmitterProcess } from '../support/transmitter-process.ts'
import { until } from '../support/until.ts'

const R = 1000
const lab = await openLab({ REDELIVER_AFTER_MS: String(R) })

describe('a code', () => {
  it.each([...REGISTERED_SET_ERRORS, 'jwtAud', 'vendor_thing'])(
    '%s ends redelivery, is kept as it is, and leaves the SET to an operator (P-105, P-106, P-108)',
    async err => {
      const feed = await lab.feed()
      const jti = await feed.publish()
      const first = await feed.pollNow()
      await feed.report([jti], { err, description: 'said' })
      await feed.age(3 * R)
      // A later SET that lapsed as well comes again: what is missing beside it is not merely late.
      const witness = await feed.publish()
      expect((await feed.pollNow()).jtis).toEqual([witness])
      await feed.age(3 * R, [witness])
      expect((await feed.pollNow()).jtis).toEqual([witness])
      const { items } = (await feed.admin('GET', '/parked')).body
      expect(items).toMatchObject([{ jti, reason: 'reported', err, description: 'said' }])
      await feed.ack([witness])
      await feed.admin('POST', '/parked/requeue', { jtis: [jti] })
      expect((await feed.pollNow()).sets).toEqual(first.sets)
    },
  )
})

describe('in the log', () => {
  let worker: TransmitterProcess
  beforeAll(async () => {
    worker = await lab.spawn(['workers'], { LOG_LEVEL: 'trace' })
  })
  const linesAbout = (receiver: string) => worker.lines.filter(line => line.receiver === receiver)

  it('a report is one line, bounded, with nothing that a terminal would act on (P-110)', async () => {
    const feed = await lab.feed()
    const hostile = '\r\n{"level":50,"msg":"forged"}\n\u001b[31mred\u009b2J\u2028\u202etxet\u0007'
    // A SET issued elsewhere has whatever jti its issuer gave it.
    await feed.append(`jti${hostile}`)
    await feed.pollNow()
    await feed.report([`jti${hostile}`], { err: `vendor${hostile}`, description: hostile + 'x'.repeat(100_000) })
    await until('it is logged', () => linesAbout(feed.id).length > 0)
    // Had the line been broken in two, the rest of it would have come before this one.
    const last = await feed.publish()
    await feed.pollNow()
    await feed.report([last], { err: 'invalid_key' })
    await until('the next one is logged', () => linesAbout(feed.id).some(({ jti }) => jti === last))
    expect(linesAbout(feed.id)).toMatchObject([
      { jti: expect.stringMatching(/^jti/), setErr: expect.stringMatching(/^vendor/) },
      { jti: last },
    ])
    expect(worker.lines.some(({ msg }) => msg === 'forged')).toBe(false)
    const written = worker
      .output()
      .split('\n')
      .find(text => text.includes('vendor')) as string
    expect(written.length).toBeLessThan(1000)
    expect(written).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|\\[nru]/u)
  })

  it('as many reports as a request may hold are a bounded number of lines, and all of them are kept (P-191)', async () => {
    const feed = await lab.feed({ settings: { pageMax: 1000 } })
    await feed.publishMany(2000)
    const jtis = [...(await feed.pollNow()).jtis, ...(await feed.pollNow()).jtis]
    await feed.report(jtis, { err: 'invalid_key', description: 'the same for all' })
    expect(await feed.check()).toMatchObject({ parked: 2000 })
    const [newest] = await lab.redis.xrevrange(feed.keys.errors, '+', '-', 'COUNT', 1)
    await until('the worker has been through all of them', async () => {
      return (await lab.redis.hget(feed.keys.counts, 'loggedReport')) === newest?.[0]
    })
    expect(linesAbout(feed.id).length).toBeGreaterThan(0)
    expect(linesAbout(feed.id).length).toBeLessThan(250)
    expect((await feed.admin('GET', '/errors?limit=1000')).body.items).toHaveLength(1000)
  })
})
