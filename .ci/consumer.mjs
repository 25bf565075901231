/** A program of someone else, in plain JavaScript: publishes with the producer client, sees it queued. */
import assert from 'node:assert/strict'
import { createProducer } from 'setstream/producer'
import 'setstream/receiver'
import 'setstream/publisher'

const { INTERNAL_URL, ADMIN_TOKEN } = process.env
const administer = async (path, body) => {
  const answer = await fetch(INTERNAL_URL + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.equal(answer.status, 201, await answer.clone().text())
  return answer.json()
}

for (let tries = 0; !(await fetch(`${INTERNAL_URL}/readyz`).catch(() => ({ ok: false }))).ok; tries++) {
  assert.ok(tries < 300, 'the transmitter is not ready')
  await new Promise(resolve => setTimeout(resolve, 100))
}
await administer('/v1/receivers', { id: 'consumer', audience: 'https://consumer.example.com', eventTypes: ['*'] })
const { token } = await administer('/v1/tokens', { scope: 'publish', producer: 'consumer' })

const producer = createProducer({ url: INTERNAL_URL, token })
const published = await producer.publish({
  sub_id: { format: 'opaque', id: 'user-1' },
  events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} },
})
await producer.close()
console.log(published)
assert.equal(published.deliveries.find(delivery => delivery.receiver === 'consumer')?.status, 'queued')
