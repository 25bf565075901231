/**
 * The figures of RFC 8936 as exchanges with a real transmitter: each request goes out in the figure's own bytes, and the
 * answer is compared in full. The SETs of figure 6 are unsigned, which we do not transmit: ours have their jtis.
 */
import { describe, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'
import { type Exchange, header, type RawAnswer, send } from './raw-http.ts'

const lab = await openLab()
const ONE = '4d3559ec67504aaba65d40b0363faad8'
const TWO = '3d0c3cf797584bd193bd0fb1bd4e7d30'

const FIGURE_1 = `{
 "returnImmediately": true
}`
const FIGURE_2 = '{}'
const FIGURE_3 = `{
  "ack": [
    "${ONE}",
    "${TWO}"
  ],
  "maxEvents": 0,
  "returnImmediately": true
}`
const FIGURE_4 = `{
  "ack": [
    "${ONE}",
    "${TWO}"
  ],
  "returnImmediately": false
}`
const FIGURE_5 = `{
  "ack": ["${TWO}"],
  "setErrs": {
    "${ONE}": {
      "err": "authentication_failed",
      "description": "The SET could not be authenticated"
    }
  },
  "returnImmediately": true
}`

function post(feed: Feed, body: string, more: readonly [string, string][] = []): Exchange {
  const headers: [string, string][] = [
    ['Content-Type', 'application/json'],
    ...more,
    ['Authorization', `Bearer ${feed.token}`],
  ]
  const target = `/receivers/${feed.id}/poll`
  return send(new URL(lab.transmitter.publicUrl), { method: 'POST', target, headers, body: Buffer.from(body) }, 15_000)
}

async function answerOf({ outcome }: Exchange): Promise<RawAnswer> {
  const ended = await outcome
  if (ended.kind !== 'answered') throw new Error(`no answer: ${ended.kind}`)
  return ended.answer
}

async function expectAnswer(exchange: Exchange, body: string): Promise<void> {
  const answer = await answerOf(exchange)
  expect(answer.status).toBe(200)
  expect(header(answer, 'Content-Type')).toMatch(/^application\/json\b/)
  expect(answer.body.toString()).toBe(body)
}

async function held(feed: Feed, exchange: Exchange): Promise<Exchange> {
  await until('the poll is held', async () => (await feed.stats()).heldPolls === 1)
  expect(exchange.ended).toBe(false)
  return exchange
}

/** Both SETs of the figures were handed out. */
async function delivered(): Promise<Feed> {
  const feed = await lab.feed()
  await feed.append(ONE)
  await feed.append(TWO)
  expect((await feed.pollNow()).jtis).toEqual([ONE, TWO])
  return feed
}

describe('on the wire, RFC 8936', () => {
  it('figure 1, an initial poll, brings what there is, written as in figure 6', async () => {
    const feed = await lab.feed()
    const [one, two] = [await feed.append(ONE), await feed.append(TWO)]
    await expectAnswer(post(feed, FIGURE_1), `{"sets":{"${ONE}":"${one}","${TWO}":"${two}"}}`)
  })

  it('figure 1 on an empty feed is answered at once, as in figure 7', async () => {
    const feed = await lab.feed()
    await expectAnswer(post(feed, FIGURE_1), '{"sets":{}}')
  })

  it('figure 2, a poll by default, is held and brings the SET that arrives', async () => {
    const feed = await lab.feed()
    const poll = await held(feed, post(feed, FIGURE_2))
    const one = await feed.append(ONE)
    await expectAnswer(poll, `{"sets":{"${ONE}":"${one}"}}`)
  })

  it('figure 2 ends with its time as in figure 7', async () => {
    const feed = await lab.feed({ settings: { pollWaitMs: 200 } })
    await expectAnswer(post(feed, FIGURE_2), '{"sets":{}}')
  })

  it('figure 3, acknowledgements only, is answered at once without a SET', async () => {
    const feed = await delivered()
    await expectAnswer(post(feed, FIGURE_3), '{"sets":{}}')
    expect((await feed.check()).states.size).toBe(0)
  })

  it('figure 4, a poll that acknowledges, is held once both are acknowledged', async () => {
    const feed = await delivered()
    const poll = await held(feed, post(feed, FIGURE_4))
    expect((await feed.check()).states.size).toBe(0)
    const three = await feed.append('3d0c3cf797584bd193bd0fb1bd4e7d31')
    await expectAnswer(poll, `{"sets":{"3d0c3cf797584bd193bd0fb1bd4e7d31":"${three}"}}`)
  })

  it('figure 5, an acknowledgement and an error, settles both, and the report is kept as it was sent', async () => {
    const feed = await delivered()
    await expectAnswer(post(feed, FIGURE_5, [['Content-Language', 'en-US']]), '{"sets":{}}')
    expect((await feed.check()).states).toEqual(new Map([[ONE, 'parked']]))
    expect((await feed.admin('GET', '/errors')).body.items).toEqual([
      {
        jti: ONE,
        err: 'authentication_failed',
        description: 'The SET could not be authenticated',
        language: 'en-US',
        attempts: 1,
        at: expect.any(String),
      },
    ])
  })
})
