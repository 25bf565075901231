/**
 * `npm run demo`: the main job end to end. A temporary transmitter with the embedded Redis, one receiver, two CAEP
 * events; they are polled, verified against the published keys, and acknowledged, and then they are gone. Nothing stays.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { CAEP, createProducer } from './client/producer.ts'
import { createReceiver } from './client/receiver.ts'
import { readConfig } from './config.ts'
import { SetupError } from './errors.ts'
import { ROLES, serve } from './serve.ts'

const RECEIVER = { id: 'billing', audience: 'https://billing.example.com' }
const SUBJECT = { format: 'email', email: 'alex@example.com' } as const

let steps = 0
function step(text: string): void {
  process.stdout.write(`\n${styleText('bold', `${++steps}. ${text}`)}\n`)
}

function show(label: string, value: unknown): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  process.stdout.write(`   ${styleText('dim', label.padEnd(13))} ${text}\n`)
}

async function call<T>(url: string, token: string, body?: unknown): Promise<T> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

async function demo(): Promise<void> {
  await using opened = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-demo-'))
  opened.defer(() => rm(dataDir, { recursive: true, force: true }))

  step('Start a transmitter: an embedded Redis, all roles in one process, free ports')
  const adminToken = randomBytes(24).toString('base64url')
  const anyPort = '127.0.0.1:0'
  const config = readConfig({
    DATA_DIR: dataDir,
    ISSUER: 'https://issuer.example.com',
    ADMIN_TOKEN: adminToken,
    PUBLIC_LISTEN: anyPort,
    INTERNAL_LISTEN: anyPort,
    OPS_LISTEN: anyPort,
    LOG_LEVEL: 'error',
    REDIS_SERVER_BIN: process.env.REDIS_SERVER_BIN,
  })
  const transmitter = await serve(config, ROLES)
  opened.defer(() => transmitter.stop())
  const publicUrl = transmitter.urls.public as string
  const internalUrl = transmitter.urls.internal as string
  show('public', publicUrl)
  show('internal', internalUrl)

  step('Register a receiver, and make a token for it and one for a producer')
  await call(`${internalUrl}/v1/receivers`, adminToken, RECEIVER)
  const tokens = `${internalUrl}/v1/tokens`
  const poll = await call<{ token: string }>(tokens, adminToken, { scope: 'poll', receiver: RECEIVER.id })
  const publish = await call<{ token: string }>(tokens, adminToken, { scope: 'publish', producer: 'sign-in' })
  show('receiver', `${RECEIVER.id}, audience ${RECEIVER.audience}`)
  show('poll token', `${poll.token.slice(0, 8)}…`)
  show('publish token', `${publish.token.slice(0, 8)}…`)

  step('The receiver long-polls; nothing is there yet, so its poll is held')
  const pollUrl = `${publicUrl}/receivers/${RECEIVER.id}/poll`
  const receiver = createReceiver({
    pollUrl,
    token: poll.token,
    issuers: [{ issuer: config.ISSUER }],
    audience: RECEIVER.audience,
  })
  const stop = new AbortController()
  const both = Promise.withResolvers<void>()
  const received: string[] = []
  const receiving = receiver.run(
    async ({ jti, claims, header }) => {
      received.push(jti)
      show('received', `${jti} (${header.alg}, key ${header.kid?.slice(0, 8)}…) verified`)
      show('', claims)
      if (received.length === 2) both.resolve()
    },
    { signal: stop.signal },
  )
  receiving.catch(both.reject)
  show('POST', pollUrl)
  show('keys', `${publicUrl}/.well-known/jwks.json`)

  step('A producer publishes two CAEP events; each becomes a signed SET and answers the held poll')
  const producer = createProducer({ url: internalUrl, token: publish.token })
  const event_timestamp = Math.floor(Date.now() / 1000)
  const id = randomUUID()
  const sessionRevoked = {
    id,
    sub_id: SUBJECT,
    events: { [CAEP.sessionRevoked]: { event_timestamp, initiating_entity: 'policy' } },
  } as const
  const credentialChange = {
    sub_id: SUBJECT,
    events: {
      [CAEP.credentialChange]: { event_timestamp, credential_type: 'password', change_type: 'update' },
    },
  } as const
  for (const event of [sessionRevoked, credentialChange]) {
    const { deliveries } = await producer.publish(event)
    show('published', deliveries.map(({ receiver, jti, status }) => `${jti} ${status} for ${receiver}`).join(', '))
  }
  await both.promise

  step('The same publish again, as after a lost answer: no second SET')
  const again = await producer.publish(sessionRevoked)
  await producer.close()
  show('published', again.deliveries.map(({ receiver, jti, status }) => `${jti} ${status} for ${receiver}`).join(', '))

  step('The receiver stops: what it stored is acknowledged')
  stop.abort()
  await receiving
  show('acknowledged', received.join(', '))

  step('Another poll: the SETs are gone')
  const left = await call<{ sets: object }>(pollUrl, poll.token, { returnImmediately: true })
  show('answer', left)
  const stats = await call<Record<string, unknown>>(`${internalUrl}/v1/receivers/${RECEIVER.id}/stats`, adminToken)
  show('stats', `published ${stats.published}, delivered ${stats.delivered}, acknowledged ${stats.acked}`)
  if (Object.keys(left.sets).length > 0 || stats.acked !== 2) throw new Error('the SETs are still there')

  step('Stop the transmitter and remove its data')
}

try {
  await demo()
  show('done', 'nothing is left behind')
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`setstream: ${error.message}\n`)
  process.exitCode = 2
}
