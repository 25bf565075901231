/** A process that stops: unready but serving, then every held poll answered, then gone (guarantee 8). */
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

describe('stopping', () => {
  it('answers held polls with an empty 200, loses no SET, and another process goes on', async () => {
    const lab = await openLab()
    const leaving = await lab.another()
    const feed = await lab.feed()
    const held = []
    for (let i = 0; i < 8; i++) held.push(...(await feed.hold({}, { at: leaving })))
    const stopping = leaving.stop()
    const answers = await Promise.all(held)
    for (const { status, text } of answers) expect([status, text]).toEqual([200, '{"sets":{}}'])
    await stopping
    await expect(fetch(`${leaving.publicUrl}/livez`)).rejects.toThrow()
    const jti = await feed.publish()
    expect((await feed.pollNow()).jtis).toEqual([jti])
  })

  it('is unready at once, and serves during the delay that lets balancers notice', async () => {
    const lab = await openLab()
    const leaving = await lab.another({ DRAIN_DELAY_MS: '1500' })
    const feed = await lab.feed()
    expect((await fetch(`${leaving.publicUrl}/readyz`)).status).toBe(200)
    const stopping = leaving.stop()
    await until('it says that it is not ready', async () => (await fetch(`${leaving.publicUrl}/readyz`)).status === 503)
    expect((await fetch(`${leaving.publicUrl}/livez`)).status).toBe(200)
    const jti = await feed.publish()
    expect((await feed.pollNow({}, { at: leaving })).jtis).toEqual([jti])
    await stopping
  })

  it('does not hold a poll that comes while it drains', async () => {
    const lab = await openLab()
    const leaving = await lab.another({ DRAIN_DELAY_MS: '1000' })
    const feed = await lab.feed()
    const [held] = await feed.hold({}, { at: leaving })
    const stopping = leaving.stop()
    await until('it says that it is not ready', async () => (await fetch(`${leaving.publicUrl}/readyz`)).status === 503)
    // Held by the delay alone, and ended with it.
    const late = feed.poll({}, { at: leaving })
    for (const answer of [await held, await late]) expect([answer?.status, answer?.text]).toEqual([200, '{"sets":{}}'])
    await stopping
  })

  it('asks clients to go elsewhere: answers close their connection from the moment it is unready', async () => {
    const lab = await openLab()
    const leaving = await lab.another({ DRAIN_DELAY_MS: '1000' })
    const feed = await lab.feed()
    expect((await feed.pollNow({}, { at: leaving })).headers.get('connection')).toBe('keep-alive')
    const [held] = await feed.hold({}, { at: leaving })
    const stopping = leaving.stop()
    await until('it says that it is not ready', async () => (await fetch(`${leaving.publicUrl}/readyz`)).status === 503)
    expect((await feed.pollNow({}, { at: leaving })).headers.get('connection')).toBe('close')
    expect((await held)?.headers.get('connection')).toBe('close')
    await stopping
  })
})
