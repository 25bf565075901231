/** A snapshot taken while SETs come and go, restored elsewhere: what was confirmed before it is there (guarantee 1). */
import { copyFile, cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { recount } from '../support/recount.ts'
import { connect, type PrivateRedis, startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const source = await startPrivateRedis()
const redis = connect({}, source.url)
const lab = await openLab({ REDIS_URL: source.url })
const feed = await lab.feed({ settings: { redeliverAfterMs: 60_000 } })

/** Publishes, fetches and acknowledges until told otherwise. */
function work() {
  const confirmed: string[] = []
  const acked = new Set<string>()
  let isStopped = false
  const produce = async () => {
    while (!isStopped) confirmed.push(await feed.publish())
  }
  const receive = async () => {
    let ack: string[] = []
    while (!isStopped) {
      const { jtis } = await feed.pollNow({ ack, maxEvents: 5 })
      for (const jti of ack) acked.add(jti)
      // Every third is left in flight.
      ack = jtis.filter((_, i) => i % 3 !== 0)
    }
  }
  const done = Promise.all([produce(), produce(), receive()])
  return {
    confirmed,
    acked,
    async stop() {
      isStopped = true
      await done
    },
  }
}

/** What the restored data has for the same receiver, by polls alone. */
async function drained(from: PrivateRedis): Promise<Set<string>> {
  const other = await openLab({
    REDIS_URL: from.url,
    KEY_PREFIX: lab.prefix,
    REDELIVER_AFTER_MS: '0',
    KEYS_DIR: lab.transmitter.keysDir,
  })
  const at = other.transmitter
  expect((await feed.admin('PATCH', '', { settings: { redeliverAfterMs: 1 } }, at)).status).toBe(200)
  await recounted(from)
  const found = new Set<string>()
  await until('it is drained', async () => {
    const { status, jtis } = await feed.pollNow({ ack: [...found].slice(-1000) }, { at })
    expect(status).toBe(200)
    for (const jti of jtis) found.add(jti)
    const { queued, inFlight, owedAgain } = await feed.stats(at)
    return queued + inFlight + owedAgain === 0
  })
  await at.stop()
  return found
}

async function recounted(from: PrivateRedis): Promise<void> {
  await recount(connect({ replyMapping: 'legacy' }, from.url), feed.keys)
}

describe('a restored snapshot', () => {
  it('by BGSAVE has every SET that was confirmed before it and is not acknowledged', async () => {
    const { confirmed, acked, stop } = work()
    await until('there is something', () => confirmed.length > 100)
    const before = [...confirmed]
    await redis.bgsave()
    await until('it is written', async () => (await redis.info('persistence')).includes('rdb_bgsave_in_progress:0'))
    await stop()
    const target = await startPrivateRedis({ args: ['--appendonly', 'no'] })
    await target.kill()
    await copyFile(join(source.directory, 'dump.rdb'), join(target.directory, 'dump.rdb'))
    await target.start()
    const found = await drained(target)
    expect(before.filter(jti => !found.has(jti) && !acked.has(jti))).toEqual([])
  })

  it('by a copy of the append-only file has them as well', async () => {
    const { confirmed, acked, stop } = work()
    await until('there is something', () => confirmed.length > 100)
    // As Redis's documentation asks: no rewrite while it is copied.
    await redis.config('SET', 'auto-aof-rewrite-percentage', 0)
    const before = [...confirmed]
    const target = await startPrivateRedis()
    await target.kill()
    const folder = join(target.directory, 'appendonlydir')
    await rm(folder, { recursive: true })
    await cp(join(source.directory, 'appendonlydir'), folder, { recursive: true })
    await stop()
    await target.start()
    const found = await drained(target)
    expect(before.filter(jti => !found.has(jti) && !acked.has(jti))).toEqual([])
  })
})

describe('older data at the same place', () => {
  it('may bring acknowledged SETs again, and the process that ran on newer data goes on', async () => {
    const own = await startPrivateRedis({ args: ['--appendonly', 'no'] })
    const direct = connect({}, own.url)
    const here = await openLab({ REDIS_URL: own.url })
    const old = await here.feed()
    const first = await old.publish()
    await direct.save()
    const later = await here.feed()
    await old.pollNow()
    await old.ack([first])
    const second = await old.publish()
    await old.pollNow()
    const [held] = await old.hold({ ack: [second] })
    await own.kill()
    await own.start()
    const third = await until('it is taken', async () => {
      const { status, body } = await old.tryPublish({ id: 'third' })
      return status === 202 && (body.deliveries[0].jti as string)
    })
    const answer = await held
    const seen = [...(answer?.jtis ?? []), ...(await old.pollNow()).jtis]
    expect(seen).toContain(first)
    expect(seen).toContain(third)
    await old.ack(seen)
    // A receiver that the older data does not have is unknown, and no call ends in a failure of ours.
    expect([404, 401]).toContain((await later.pollNow()).status)
    expect((await later.tryPublish({ id: 'gone' })).status).toBeLessThan(500)
    await old.check()
  })
})
