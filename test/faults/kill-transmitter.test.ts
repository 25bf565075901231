/** The transmitter killed at any moment loses nothing that was confirmed, and forgets nothing that was acknowledged. */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'

const R = 60_000
const lab = await openLab({ REDELIVER_AFTER_MS: String(R) })

describe('SIGKILL of the transmitter', () => {
  it('between delivery and acknowledgement: the SETs come again after R, the same bytes, from another process', async () => {
    const doomed = await lab.spawn(['public', 'internal'])
    const feed = await lab.feed()
    const jtis = await feed.publishMany(5)
    const first = await feed.pollNow({}, { at: doomed })
    expect(first.jtis).toEqual(jtis)
    await doomed.kill()
    expect((await feed.pollNow()).jtis).toEqual([])
    expect(await feed.check()).toMatchObject({ inFlight: 5 })
    await feed.age(R)
    const again = await feed.pollNow({ ack: jtis.slice(0, 2) })
    expect([...again.sets]).toEqual([...first.sets].slice(2))
    expect(await feed.check()).toMatchObject({ inFlight: 3 })
  })

  it('with polls held there: what is published goes to a poll elsewhere', async () => {
    const doomed = await lab.spawn(['public', 'internal'])
    const feed = await lab.feed()
    const [held] = await feed.hold({}, { at: doomed })
    await doomed.kill()
    await expect(held).rejects.toThrow()
    const jti = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([jti])
  })

  it('in the middle of publishing, polling and acknowledging: each SET is delivered, and no acknowledged one again', async () => {
    const feed = await lab.feed({ settings: { pageMax: 20 } })
    const ids = Array.from({ length: 300 }, (_, i) => `killed-${i}`)
    const acked = new Set<string>()
    for (let round = 0; round < 3; round++) {
      const doomed = await lab.spawn(['public', 'internal'])
      let alive = true
      const producer = async () => {
        for (const id of ids.slice(round * 100, round * 100 + 100)) {
          if (alive) await feed.tryPublish({ id }, doomed).catch(() => undefined)
        }
      }
      const receiver = async () => {
        let ack: readonly string[] = []
        while (alive) {
          const page = await feed.pollNow({ ack }, { at: doomed }).catch(() => undefined)
          if (page?.status !== 200) continue
          for (const jti of ack) acked.add(jti)
          expect(page.jtis.filter(jti => acked.has(jti))).toEqual([])
          ack = page.jtis
          // After the nth answer of this round, so that each round is cut elsewhere.
          if (acked.size > 25 + round * 60) {
            alive = false
            await doomed.kill()
          }
        }
      }
      await Promise.all([producer(), receiver()])
      await feed.check()
    }
    const known = new Set<string>()
    for (const id of ids) {
      const { status, body } = await feed.tryPublish({ id })
      expect(status).toBe(202)
      known.add(body.deliveries[0].jti)
    }
    await feed.age(R)
    const rest: string[] = []
    for (let more = true; more; ) {
      const page = await feed.pollNow()
      rest.push(...page.jtis)
      more = page.moreAvailable
    }
    expect(rest.filter(jti => acked.has(jti))).toEqual([])
    expect(new Set([...rest, ...acked])).toEqual(known)
    await feed.check()
  })

  it('SIGTERM ends it with 0, its held polls answered', async () => {
    const leaving = await lab.spawn(['public', 'internal', 'workers'])
    const feed = await lab.feed()
    const [held] = await feed.hold({}, { at: leaving })
    const code = leaving.terminate()
    expect((await held)?.text).toBe('{"sets":{}}')
    expect(await code).toBe(0)
  })
})
