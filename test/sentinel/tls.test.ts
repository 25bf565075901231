/** Redis behind Sentinel, with nothing on the wire that is not TLS: between all of them, and to us. */
import { afterAll, expect, it } from 'vitest'
import { authority, trust } from '../support/certificates.ts'
import { openLab } from '../support/feed.ts'
import { connect } from '../support/redis.ts'
import { startSentinels } from '../support/sentinel.ts'
import { until } from '../support/until.ts'

const ca = await authority('authority of the sentinels')
trust(ca)
const { certFile, keyFile } = await ca.issue('IP:127.0.0.1')
const sentinels = await startSentinels({ certFile, keyFile, caFile: ca.certFile })
afterAll(() => sentinels.close())
const lab = await openLab({ REDIS_URL: sentinels.url, POLL_WAIT_MS: '60000' }, ['internal', 'workers'])

it('SETs go from one process to another, through a failover and a worker', async () => {
  expect(sentinels.url).toMatch(/^rediss\+sentinel:/)
  const at = await lab.spawn(['public', 'internal'], { NODE_EXTRA_CA_CERTS: ca.certFile })
  const feed = await lab.feed({ settings: { redeliverAfterMs: 1500 } })
  const [held] = await feed.hold({}, { at })
  const first = await feed.publish()
  expect((await held)?.jtis).toEqual([first])
  await feed.ack([first], { at })

  const [heldThrough] = await feed.hold({}, { at })
  const master = await sentinels.master()
  const marker = connect({}, master.url)
  await marker.set(`${lab.prefix}:marker`, 1)
  expect(await marker.wait(1, 10_000)).toBe(1)
  marker.disconnect()
  await master.kill()
  const second = await until(
    'it is taken',
    async () => {
      const { status, body } = await feed.tryPublish({ id: 'after the kill' })
      expect([202, 503]).toContain(status)
      return status === 202 && (body.deliveries[0].jti as string)
    },
    30_000,
  )
  await until('another is named', async () => (await sentinels.master()).port !== master.port, 20_000)
  const answer = await heldThrough
  const jtis = answer?.status === 200 ? answer.jtis : (await feed.pollNow({}, { at })).jtis
  expect(jtis).toEqual([second])
  await until('a worker makes it owed again', async () => (await feed.stats()).owedAgain === 1, 15_000)
  await feed.ack([second], { at })
  expect((await feed.check()).queued).toBe(0)
}, 60_000)

it('without the authority the sentinels are not talked to', async () => {
  const wary = await lab.spawn(['internal'])
  expect((await fetch(`${wary.internalUrl}/readyz`)).status).toBe(503)
})
