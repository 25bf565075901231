/** Who may poll: P-119 to P-121, P-127 to P-137, P-141. */
import { beforeAll, describe, expect, it } from 'vitest'
import { newToken } from '../../src/delivery/tokens.ts'
import { ask } from '../support/http.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const EVENT = { events: { 'https://schemas.example/event/happened': {} } }
const NOW = { returnImmediately: true }

let transmitter: TestTransmitter
let mine: { pollUrl: string; token: string }
let theirs: { pollUrl: string; token: string }
beforeAll(async () => {
  transmitter = await startTransmitter({ POLL_WAIT_MS: '10000' })
  mine = await transmitter.addReceiver('mine')
  theirs = await transmitter.addReceiver('theirs')
})

const tokenOf = async (input: Record<string, unknown>) =>
  transmitter.admin<{ token: string; tokenId: string }>('POST', '/v1/tokens', input)
const owed = async (receiver: { pollUrl: string; token: string }) =>
  Object.keys((await ask(receiver.pollUrl, { token: receiver.token, body: NOW })).body.sets)

describe('a poll without usable credentials', () => {
  it('is answered 401 with a challenge that names the scheme and no error (P-119, P-129, P-135)', async () => {
    const { status, headers } = await ask(mine.pollUrl, { body: NOW })
    expect(status).toBe(401)
    expect(headers['www-authenticate']).toBe('Bearer realm="setstream"')
  })

  it.each(['Basic bWluZTpzZWNyZXQ=', 'Bearer', 'Bearer ', 'DPoP x', 'sst_token', '"Bearer x"'])(
    'is answered like one without any when the header is %j',
    async authorization => {
      const { status, headers } = await ask(mine.pollUrl, { headers: { authorization }, body: NOW })
      expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="setstream"'])
    },
  )

  it('is refused before its body is judged (P-127)', async () => {
    const broken = { headers: { 'content-type': 'text/html', 'content-encoding': 'gzip' }, body: '{"ack":[' }
    expect((await ask(mine.pollUrl, broken)).status).toBe(401)
  })

  it.each([
    ['unknown', async () => newToken()],
    ['malformed', async () => 'not-a-token'],
    ['mistyped', async () => mine.token.replace(/.$/, last => (last === 'A' ? 'B' : 'A'))],
    ['cut short', async () => mine.token.slice(0, -1)],
    ['in another case', async () => mine.token.toLowerCase()],
    [
      'a SET',
      async () => {
        await transmitter.admin('POST', '/v1/events', { ...EVENT, receivers: ['theirs'] })
        const { sets } = (await ask(theirs.pollUrl, { token: theirs.token, body: NOW })).body
        return String(Object.values(sets)[0])
      },
    ],
  ])('is answered invalid_token when its token is %s (P-136, P-139)', async (_, token) => {
    const { status, headers, text } = await ask(mine.pollUrl, { token: await token(), body: NOW })
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="setstream", error="invalid_token"'])
    expect(text).not.toContain(await token())
  })

  it('is answered invalid_token once its token has expired (P-137)', async () => {
    const { token } = await tokenOf({ scope: 'poll', receiver: 'mine', expiresInSeconds: 1 })
    expect((await ask(mine.pollUrl, { token, body: NOW })).status).toBe(200)
    const late = await until('expiry', async () => {
      const answer = await ask(mine.pollUrl, { token, body: NOW })
      return answer.status !== 200 && answer
    })
    expect([late.status, late.headers['www-authenticate']]).toEqual([
      401,
      'Bearer realm="setstream", error="invalid_token"',
    ])
  })
})

describe('a poll with credentials', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('may write the scheme as %s (P-132)', async scheme => {
    const headers = { authorization: `${scheme}  ${mine.token}` }
    expect((await ask(mine.pollUrl, { headers, body: NOW })).status).toBe(200)
  })

  it('is refused for want of scope with the scope it takes (P-120, P-136)', async () => {
    const { token } = await tokenOf({ scope: 'publish', producer: 'p' })
    for (const credential of [token, transmitter.adminToken]) {
      const { status, headers } = await ask(mine.pollUrl, { token: credential, body: NOW })
      expect(status).toBe(403)
      expect(headers['www-authenticate']).toBe('Bearer realm="setstream", error="insufficient_scope", scope="poll"')
    }
  })

  it('does not see whether a stream of another exists (P-121, P-131, P-201)', async () => {
    await transmitter.admin('POST', '/v1/events', { ...EVENT, id: 'foreign', receivers: ['theirs'] })
    const [jti] = await owed(theirs)
    const body = { ack: [jti], returnImmediately: true }
    const foreign = await ask(theirs.pollUrl, { token: mine.token, body })
    const unknown = await ask(theirs.pollUrl.replace('theirs', 'nobody'), { token: mine.token, body })
    const never = await ask(theirs.pollUrl.replace('theirs', 'No%20Such'), { token: mine.token, body })
    const plain = ({ status, headers: { date: _, ...headers }, text }: typeof foreign) => ({ status, headers, text })
    expect(plain(foreign)).toEqual(plain(unknown))
    expect(plain(foreign)).toEqual(plain(never))
    expect(foreign.status).toBe(404)
    // Not acknowledged: it is still in flight for its own receiver.
    const { state } = await transmitter.admin<{ state: string }>('GET', `/v1/receivers/theirs/sets/${jti}`)
    expect(state).toBe('inFlight')
  })

  it('takes no token from the query or a form (P-133)', async () => {
    expect((await ask(`${mine.pollUrl}?access_token=${mine.token}`, { body: NOW })).status).toBe(401)
    const form = {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `access_token=${mine.token}`,
    }
    expect((await ask(mine.pollUrl, form)).status).toBe(401)
  })

  it('gives its token once (P-134)', async () => {
    const query = await ask(`${mine.pollUrl}?access_token=${mine.token}`, { token: mine.token, body: NOW })
    const headers = { authorization: [`Bearer ${mine.token}`, `Bearer ${theirs.token}`] as unknown as string }
    for (const { status, headers: answer } of [query, await ask(mine.pollUrl, { headers, body: NOW })]) {
      expect([status, answer['www-authenticate']]).toEqual([400, 'Bearer realm="setstream", error="invalid_request"'])
    }
  })

  it('is held no longer than its token lives for the next one (P-141)', async () => {
    const { token, tokenId } = await tokenOf({ scope: 'poll', receiver: 'mine' })
    const held = ask(mine.pollUrl, { token, body: {} })
    await until('the poll to be held', async () => {
      const { heldPolls } = await transmitter.admin<{ heldPolls: number }>('GET', '/v1/receivers/mine/stats')
      return heldPolls === 1
    })
    await transmitter.admin('DELETE', `/v1/tokens/${tokenId}`)
    expect((await ask(mine.pollUrl, { token, body: NOW })).status).toBe(401)
    await transmitter.admin('POST', '/v1/events', { ...EVENT, receivers: ['mine'] })
    expect((await held).status).toBe(200)
  })

  it('is answered here and sent nowhere else (P-128)', async () => {
    for (const url of [mine.pollUrl, `${mine.pollUrl}/`, mine.pollUrl.replace('/receivers', '//receivers')]) {
      const { status, headers } = await ask(url, { token: mine.token, body: NOW })
      expect([200, 404]).toContain(status)
      expect(headers.location).toBeUndefined()
    }
  })
})

it('every answer that refuses says that it must not be kept (P-192, P-193)', async () => {
  const answers = await Promise.all([
    ask(mine.pollUrl, { body: NOW }),
    ask(mine.pollUrl, { token: newToken(), body: NOW }),
    ask(mine.pollUrl, { token: transmitter.adminToken, body: NOW }),
    ask(theirs.pollUrl, { token: mine.token, body: NOW }),
    ask(mine.pollUrl),
    ask(mine.pollUrl, { token: mine.token, body: '{' }),
    ask(`${transmitter.publicUrl}/%`, { body: NOW }),
    ask(`${transmitter.publicUrl}/receivers/${'x'.repeat(3000)}/poll`, { body: NOW }),
    ask(mine.pollUrl, { headers: { 'x-long': 'x'.repeat(40_000) }, body: NOW }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 403, 404, 405, 400, 400, 400, 431])
  for (const { headers, text } of answers) {
    expect(headers['cache-control']).toBe('no-store')
    for (const name of ['expires', 'etag', 'last-modified', 'content-location'])
      expect(headers).not.toHaveProperty(name)
    expect(text).not.toMatch(/xxx|%/)
  }
})
