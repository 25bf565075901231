/** `setstream/publisher`: the server's own publish use case, without HTTP. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openPublisher, SetupError } from '../../src/publisher.ts'
import { generateKey } from '../../src/signing/key-lifecycle.ts'
import { keysFor } from '../../src/store/keys.ts'
import { ReceiverStore } from '../../src/store/receiver-store.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { connect, redisUrl, testPrefix } from '../support/redis.ts'

const dir = await mkdtemp(join(tmpdir(), 'setstream-publisher-'))
afterAll(() => rm(dir, { recursive: true }))
const prefix = testPrefix()
const env = {
  REDIS_URL: redisUrl(),
  KEY_PREFIX: prefix,
  KEYS_DIR: dir,
  ISSUER: 'https://issuer.example',
  LOG_LEVEL: 'silent',
}
const event = { id: 'one', events: { 'urn:example:happened': {} } }

const redis = connect()
const keys = keysFor(prefix)
const receivers = new ReceiverStore(redis, scriptsOn(redis), keys)
await generateKey(dir, 'ES256', Date.now())
await receivers.create({ id: 'r1', audience: 'https://r1.example' }, Date.now())

it('queues one SET per receiver, and a repeat with the same id queues nothing', async () => {
  await using publisher = await openPublisher({ producer: 'billing', env })
  const first = await publisher.publish(event)
  expect(first.deliveries.map(({ status }) => status)).toEqual(['queued'])
  const again = await publisher.publish(event)
  expect(again.deliveries).toEqual(first.deliveries.map(delivery => ({ ...delivery, status: 'duplicate' })))
  expect(await redis.xlen(keys.of('r1').log)).toBe(1)
})

it('closes once what was published before is answered', async () => {
  const publisher = await openPublisher({ producer: 'billing', env })
  const publish = (id: string) => publisher.publish({ ...event, id, receivers: ['r1'] })
  await publish('at once')
  const both = Promise.all([publish('under way'), publisher.publishBatch([{ ...event, id: 'batch' }])])
  void publisher.close()
  await publisher.close()
  const [published, batch] = await both
  expect([published, ...batch]).toMatchObject(Array(2).fill({ deliveries: [{ status: 'queued' }] }))
  await expect(publish('too late')).rejects.toMatchObject({
    code: 'store_unavailable',
    message: expect.stringContaining('closed'),
  })
})

it('refuses to start without the Redis and the keys of the transmitter', async () => {
  await expect(openPublisher({ producer: 'billing', env: { ...env, KEYS_DIR: undefined } })).rejects.toThrow(SetupError)
})
