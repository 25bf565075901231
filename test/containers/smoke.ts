/**
 * The main job as an outsider sees it: HTTP to a running transmitter, and nothing of ours but jose to verify.
 *
 *   node smoke.ts all              publish, poll, redelivery by the workers, verify, acknowledge
 *   node smoke.ts publish FILE     publish, and note in FILE what `collect` has to find
 *   node smoke.ts collect FILE     after a restart: poll, verify, acknowledge
 *
 * PUBLIC_URL, INTERNAL_URL and ADMIN_TOKEN say where. Every step prints one line; the first that fails ends it with 1.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'

interface Published {
  readonly receiver: string
  readonly pollToken: string
  readonly jti: string
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

type Sets = Readonly<Record<string, string>>

const READY_WITHIN_MS = 60_000
const READY_EVERY_MS = 200
/** Short enough to see a redelivery, long enough that the first two requests fit. */
const REDELIVER_AFTER_MS = 1000
/** Longer than the above: a poll held so long that stays empty shows that nothing is owed. */
const POLL_WAIT_MS = 3000
const EVENT_TYPE = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

const publicUrl = required('PUBLIC_URL')
const internalUrl = required('INTERNAL_URL')
const adminToken = required('ADMIN_TOKEN')

const [what, file] = process.argv.slice(2)
if (what === 'all') await collect(await publish(), true)
else if (what === 'publish' && file !== undefined) writeFileSync(file, JSON.stringify(await publish()))
else if (what === 'collect' && file !== undefined) await collect(JSON.parse(readFileSync(file, 'utf8')), false)
else throw new Error('usage: smoke.ts all | publish FILE | collect FILE')

async function publish(): Promise<Published> {
  await Promise.all([ready(publicUrl), ready(internalUrl)])
  const receiver = `smoke-${randomBytes(4).toString('hex')}`
  const settings = { redeliverAfterMs: REDELIVER_AFTER_MS, pollWaitMs: POLL_WAIT_MS }
  const created = await administer('/v1/receivers', {
    id: receiver,
    audience: audienceOf(receiver),
    eventTypes: ['*'],
    settings,
  })
  assert.equal(created.status, 201, JSON.stringify(created.body))
  say(`receiver ${receiver} is registered`)

  const token = await administer('/v1/tokens', { scope: 'poll', receiver })
  assert.equal(token.status, 201, JSON.stringify(token.body))
  const { token: pollToken } = token.body as { token: string }

  const event = {
    id: randomBytes(8).toString('hex'),
    sub_id: { format: 'iss_sub', iss: 'https://idp.example.com/', sub: 'user-1' },
    events: { [EVENT_TYPE]: { event_timestamp: 1_700_000_000 } },
    receivers: [receiver],
  }
  const first = await administer('/v1/events', event)
  assert.equal(first.status, 202, JSON.stringify(first.body))
  const [delivery] = (first.body as { deliveries: { jti: string; status: string }[] }).deliveries
  assert.equal(delivery?.status, 'queued')
  say(`event ${event.id} is queued as ${delivery.jti}`)

  const again = await administer('/v1/events', event)
  assert.deepEqual(again.body, { id: event.id, deliveries: [{ ...delivery, status: 'duplicate' }] })
  say('the same event again is a duplicate')
  return { receiver, pollToken, jti: delivery.jti }
}

async function collect({ receiver, pollToken, jti }: Published, unacknowledged: boolean): Promise<void> {
  await Promise.all([ready(publicUrl), ready(internalUrl)])
  const poll = async (body: object) => {
    const answer = await post(`${publicUrl}/receivers/${receiver}/poll`, pollToken, body)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return (answer.body as { sets: Sets }).sets
  }

  const sets = await poll({})
  const token = sets[jti]
  assert.deepEqual(Object.keys(sets), [jti])
  assert.ok(token !== undefined)
  say(`a poll delivers ${jti}`)

  const jwks = createLocalJWKSet((await get(`${publicUrl}/.well-known/jwks.json`)) as JSONWebKeySet)
  const { payload, protectedHeader } = await jwtVerify(token, jwks, {
    audience: audienceOf(receiver),
    typ: 'secevent+jwt',
  })
  assert.deepEqual(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ'])
  assert.equal(payload.jti, jti)
  assert.deepEqual(Object.keys(payload.events as object), [EVENT_TYPE])
  say(`its signature verifies with the published key ${protectedHeader.kid}`)

  if (unacknowledged) {
    // Nothing arrives while this poll is held: only a worker's sweep can wake it.
    assert.deepEqual(await poll({}), sets)
    say('not acknowledged, it is delivered again, byte for byte')
  }

  assert.deepEqual(await poll({ ack: [jti], maxEvents: 0, returnImmediately: true }), {})
  assert.deepEqual(await poll({}), {})
  say('acknowledged, it is gone')
}

/** Both listeners answer before the processes behind them have reached Redis. */
async function ready(base: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS
  for (;;) {
    const status = await fetch(`${base}/readyz`).then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) return
    if (Date.now() > deadline) throw new Error(`${base} was not ready within ${READY_WITHIN_MS} ms (last: ${status})`)
    await new Promise(resolve => setTimeout(resolve, READY_EVERY_MS))
  }
}

function administer(path: string, body: object): Promise<Answer> {
  return post(`${internalUrl}${path}`, adminToken, body)
}

async function post(url: string, token: string, body: object): Promise<Answer> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: await answer.json() }
}

async function get(url: string): Promise<unknown> {
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  return answer.json()
}

function audienceOf(receiver: string): string {
  return `https://${receiver}.example.com`
}

function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

function say(line: string): void {
  console.log(line)
}
