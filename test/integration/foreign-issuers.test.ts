/** SETs of issuers whose keys are configured have to verify with them. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign, exportJWK, generateKeyPair } from 'jose'
import { afterAll, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'

const issuer = 'https://elsewhere.example'
const { privateKey, publicKey } = await generateKeyPair('ES256')
const stranger = await generateKeyPair('ES256')
const document = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] })
const server = createServer((_request, response) =>
  response.setHeader('content-type', 'application/json').end(document),
)
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
afterAll(() => server.close())
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
const lab = await openLab({ FOREIGN_ISSUERS: JSON.stringify({ [issuer]: url }) })

async function signed(jti: string, aud: string, iss: string, key = privateKey): Promise<string> {
  const claims = { iss, iat: 1_700_000_000, jti, aud, events: { 'urn:example:happened': {} } }
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'ES256', typ: 'secevent+jwt', kid: 'k1' })
    .sign(key)
}

it('takes a SET that the issuer signed', async () => {
  const feed = await lab.feed()
  const answer = await feed.tryAppend(await signed('genuine', feed.audience, issuer))
  expect(answer.body).toEqual({ jti: 'genuine', status: 'queued' })
})

it('refuses a SET that somebody else signed in its name', async () => {
  const feed = await lab.feed()
  const answer = await feed.tryAppend(await signed('forged', feed.audience, issuer, stranger.privateKey))
  expect([answer.status, answer.body.faults[0].at]).toEqual([400, '/iss'])
  expect((await feed.check()).queued).toBe(0)
})

it('leaves the SETs of an issuer that is not configured to their receivers', async () => {
  const feed = await lab.feed()
  const token = await signed('unknown', feed.audience, 'https://third.example', stranger.privateKey)
  expect((await feed.tryAppend(token)).status).toBe(202)
})
