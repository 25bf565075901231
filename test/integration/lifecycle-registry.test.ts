/** Who is reached: a receiver that is there when an event is published, whichever process heard of it first. */
import { describe, expect, it } from 'vitest'
import { callAdmin, openLab } from '../support/feed.ts'
import { ask } from '../support/http.ts'

const lab = await openLab()
const other = await lab.another()

describe('a receiver', () => {
  it('created while others publish is reached by every event published after its 201, through any process', async () => {
    const publishers = [lab.transmitter, other]
    for (let round = 0; round < 5; round++) {
      const type = `https://events.example/${lab.prefix}/${round}`
      const publish = (id: string, at = lab.transmitter) =>
        callAdmin(at, 'POST', '/v1/events', { id, events: { [type]: {} } })
      // Both have the list of receivers in their caches.
      await Promise.all(publishers.map((at, i) => publish(`warm-${round}-${i}`, at)))
      const feed = await lab.feed({ eventTypes: [type] })
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => publish(`after-${round}-${i}`, publishers[i % 2])),
      )
      const missed = answers.filter(({ body }) => body.deliveries.length !== 1)
      expect(missed.map(({ body }) => body)).toEqual([])
      expect(await feed.check()).toMatchObject({ queued: 40 })
    }
  })

  it('is not reached by who may not publish to it, whichever process heard of it first', async () => {
    const type = `https://events.example/${lab.prefix}/limited`
    const allowed = await lab.feed({ eventTypes: [type] })
    const { token } = await lab.transmitter.admin<{ token: string }>('POST', '/v1/tokens', {
      scope: 'publish',
      producer: 'limited',
      receivers: [allowed.id],
    })
    const publish = (id: string) =>
      ask(`${other.internalUrl}/v1/events`, { token, body: { id, events: { [type]: {} } } })
    for (let round = 0; round < 3; round++) {
      await publish(`warm-${round}`)
      await lab.feed({ eventTypes: [type] })
      const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => publish(`after-${round}-${i}`)))
      for (const { body } of answers) {
        expect(body.deliveries).toMatchObject([{ receiver: allowed.id, status: 'queued' }])
        expect(body.deliveries).toHaveLength(1)
      }
    }
  })

  it('that was subscribed, or enabled, by a change is reached by what is published after the answer', async () => {
    const type = `https://events.example/${lab.prefix}/changed`
    const publish = (id: string) => callAdmin(other, 'POST', '/v1/events', { id, events: { [type]: {} } })
    const feed = await lab.feed({ eventTypes: [`${type}/else`] })
    await publish('before')
    await feed.patch({ eventTypes: [type] })
    expect((await Promise.all([publish('a1'), publish('a2')])).map(({ body }) => body.deliveries.length)).toEqual([
      1, 1,
    ])
    await feed.patch({ status: 'disabled' })
    await publish('meanwhile')
    await feed.patch({ status: 'enabled' })
    expect((await Promise.all([publish('b1'), publish('b2')])).map(({ body }) => body.deliveries.length)).toEqual([
      1, 1,
    ])
  })
})
