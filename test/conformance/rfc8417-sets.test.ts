/** RFC 8417 §2, RFC 9493 §3 and §4: what is in the SETs that a receiver gets, and what a producer cannot put there. */
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'
import { HAPPENED } from '../support/foreign-set.ts'

const lab = await openLab()
const { transmitter } = lab
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const seconds = () => Math.floor(Date.now() / 1000)

/** What a receiver decodes from the only SET of a page. */
async function received(feed: Feed) {
  const { sets } = await feed.pollNow()
  expect(sets.size).toBe(1)
  const [jti, token] = [...sets][0] as [string, string]
  return { jti, token, header: decodeProtectedHeader(token), claims: decodeJwt(token) }
}

describe('a SET of ours', () => {
  it('has the header and the claims of RFC 8417 §2.2 and no others (P-153 to P-157, P-166, P-167, P-182)', async () => {
    const feed = await lab.feed()
    const before = seconds()
    await feed.publish()
    const { jti, header, claims } = await received(feed)
    expect(header).toEqual({ alg: 'ES256', typ: 'secevent+jwt', kid: expect.any(String) })
    expect(Object.keys(claims).toSorted()).toEqual(['aud', 'events', 'iat', 'iss', 'jti', 'txn'])
    expect(claims).toMatchObject({ iss: transmitter.issuer, jti, aud: feed.audience, events: { [HAPPENED]: {} } })
    expect(jti).toMatch(/^(?=.*[A-Za-z])[A-Za-z0-9_-]{16,128}$/)
    expect(Number.isInteger(claims.iat)).toBe(true)
    expect(claims.iat).toBeGreaterThanOrEqual(before)
    expect(claims.iat).toBeLessThanOrEqual(seconds())
  })

  it('says what the producer said, and is the same SET when it is repeated (P-154, P-158 to P-165, P-171)', async () => {
    const feed = await lab.feed({ settings: { redeliverAfterMs: 1000 } })
    const said = {
      events: { [REVOKED]: { event_timestamp: 1_615_304_991, reason_user: { fr: 'Déconnecté 🔐\u2028' } } },
      sub_id: { format: 'iss_sub', iss: 'https://idp.example', sub: 'Zoë\u0000"\\' },
      sub: 'Zoë',
      toe: 1_508_184_845.5,
      txn: 'tx-1',
    }
    await feed.publish('said', said)
    const first = await received(feed)
    expect(first.claims).toEqual({
      ...said,
      iss: transmitter.issuer,
      jti: first.jti,
      aud: feed.audience,
      iat: first.claims.iat,
    })
    await feed.age(1000)
    expect((await received(feed)).token).toBe(first.token)
  })

  it('names every audience of its receiver, and no other (P-157)', async () => {
    const audience = ['https://rx.example', 'urn:example:rx']
    const id = `several-${lab.prefix}`
    await transmitter.admin('POST', '/v1/receivers', { id, audience })
    const { token } = await transmitter.admin<{ token: string }>('POST', '/v1/tokens', { scope: 'poll', receiver: id })
    await transmitter.admin('POST', '/v1/events', { events: { [HAPPENED]: {} }, receivers: [id] })
    const response = await fetch(`${transmitter.publicUrl}/receivers/${id}/poll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: '{}',
    })
    const { sets } = (await response.json()) as { sets: Record<string, string> }
    expect(Object.values(sets).map(set => decodeJwt(set).aud)).toEqual([audience])
  })

  it('verifies for its receiver with the key set that the same listener serves (P-172, P-173)', async () => {
    const feed = await lab.feed()
    await feed.publish()
    const { token } = await received(feed)
    const response = await fetch(`${transmitter.publicUrl}/.well-known/jwks.json`)
    const keySet = createLocalJWKSet((await response.json()) as { keys: [] })
    const expected = { issuer: transmitter.issuer, audience: feed.audience, typ: 'secevent+jwt' }
    expect((await jwtVerify(token, keySet, expected)).payload.jti).toEqual(expect.any(String))
  })

  it('of one event for two receivers is two SETs, which share their transaction alone (P-155, P-157, P-165)', async () => {
    const [mine, theirs] = [await lab.feed(), await lab.feed()]
    expect((await mine.tryPublish({ id: 'shared', receivers: [mine.id, theirs.id] })).status).toBe(202)
    const [a, b] = [await received(mine), await received(theirs)]
    expect(a.claims.txn).toEqual(expect.any(String))
    expect(a.claims.txn).toBe(b.claims.txn)
    expect(a.jti).not.toBe(b.jti)
    expect([a.claims.aud, b.claims.aud]).toEqual([mine.audience, theirs.audience])
  })
})

describe('the time of an event', () => {
  it('reaches a receiver as roughly as was agreed, and a repeat of the call is one all the same (P-199)', async () => {
    const rough = await lab.feed({ settings: { toeRoundMs: 3_600_000 } })
    const exact = await lab.feed()
    const event = { id: 'timed', toe: 1_508_184_845.5, receivers: [rough.id, exact.id] }
    expect((await exact.tryPublish(event)).status).toBe(202)
    const repeated = (await exact.tryPublish(event)).body.deliveries.map(({ status }: { status: string }) => status)
    expect(repeated).toEqual(['duplicate', 'duplicate'])
    expect((await exact.tryPublish({ ...event, toe: event.toe + 1 })).status).toBe(409)
    expect((await received(rough)).claims.toe).toBe(1_508_184_000 - (1_508_184_000 % 3600))
    expect((await received(exact)).claims.toe).toBe(event.toe)
    // What was agreed later does not make another SET of the same event.
    await rough.patch({ settings: { toeRoundMs: null } })
    expect((await rough.tryPublish(event)).body.deliveries[0].status).toBe('duplicate')
  })

  it('is rounded for every receiver where the process says so, and not for those that say otherwise (P-199)', async () => {
    const { feed: open } = await openLab({ TOE_ROUND_MS: '60000' })
    const [all, other] = [await open(), await open({ settings: { toeRoundMs: 0 } })]
    await all.tryPublish({ id: 'timed', toe: 119.5, receivers: [all.id, other.id] })
    expect((await received(all)).claims.toe).toBe(60)
    expect((await received(other)).claims.toe).toBe(119.5)
  })
})

describe('an event is refused with its faults named, and nothing is queued,', () => {
  const email = { format: 'email', email: 'a@example.com' }
  it.each<[string, object, string]>([
    ['without events', { events: {} }, '/events'],
    ['with events in an array', { events: [] }, '/events'],
    ['with an event that is no object', { events: { [HAPPENED]: true } }, '/events/https:~1~1events.example~1happened'],
    ['with an event that no URI names', { events: { happened: {} } }, '/events/happened'],
    ['with exp', { exp: 1 }, '/exp'],
    ['with nonce', { nonce: 'n' }, '/nonce'],
    ['with iss', { iss: 'https://else.example' }, '/iss'],
    ['with aud', { aud: 'https://else.example' }, '/aud'],
    ['with jti', { jti: 'mine' }, '/jti'],
    ['with iat', { iat: 1 }, '/iat'],
    ['with a toe that is no number', { toe: '2026-01-01' }, '/toe'],
    ['with a txn that is no string', { txn: 1 }, '/txn'],
    ['with a sub that is no string', { sub: {} }, '/sub'],
    ['with a subject that lacks a member', { sub_id: { format: 'email' } }, '/sub_id/email'],
    ['with a subject that has one too many', { sub_id: { ...email, name: 'A' } }, '/sub_id/name'],
    ['with a subject of an unknown format', { sub_id: { format: 'badge', id: '1' } }, '/sub_id/format'],
    ['with no aliases', { sub_id: { format: 'aliases', identifiers: [] } }, '/sub_id/identifiers'],
    [
      'with aliases among aliases',
      { sub_id: { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [email] }] } },
      '/sub_id/identifiers/0/format',
    ],
  ])('%s (P-158 to P-166)', async (_, more, at) => {
    const feed = await lab.feed()
    const { status, body } = await feed.tryPublish({ id: 'faulty', ...more })
    expect([status, body.faults.map((fault: { at: string }) => fault.at)]).toEqual([400, [at]])
    expect((await feed.check()).states.size).toBe(0)
  })
})

describe('what we leave to the producer', () => {
  it('is that several event types are aspects of one event (P-163), and that sub and sub_id mean one subject (P-160)', async () => {
    const feed = await lab.feed()
    const events = { [HAPPENED]: {}, 'https://events.example/aspect': {} }
    await feed.publish('aspects', { events, sub: 'a', sub_id: { format: 'opaque', id: 'b' } })
    expect((await received(feed)).claims).toMatchObject({ events, sub: 'a', sub_id: { id: 'b' } })
  })
})

describe('a receiver', () => {
  it('gets events of the types it is registered for, whole, and what a producer addresses to it by name (P-195)', async () => {
    const type = `https://events.example/${lab.prefix}`
    const feed = await lab.feed({ eventTypes: [type] })
    const publish = (id: string, events: object) => transmitter.admin('POST', '/v1/events', { id, events })
    await publish('other', { [`${type}/other`]: {} })
    await publish('prefix', { [type.slice(0, -1)]: {} })
    expect((await feed.pollNow()).jtis).toEqual([])
    await publish('one', { [type]: {} })
    await publish('among others', { [`${type}/other`]: {}, [type]: {} })
    await feed.publish('by name')
    const page = await feed.pollNow()
    expect([...page.sets.values()].map(set => decodeJwt(set).events)).toEqual([
      { [type]: {} },
      { [`${type}/other`]: {}, [type]: {} },
      { [HAPPENED]: {} },
    ])
  })
})
