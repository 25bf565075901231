/** Redis's disk is full: calls are refused and told to come again, and nothing that was confirmed is lost. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { foreignSet } from '../support/foreign-set.ts'
import { startPrivateRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

/** A disk of its own, for which one has to be root. */
const disk = mkdtempSync(join(tmpdir(), 'setstream-disk-'))
const isMounted = (() => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
afterAll(() => {
  if (isMounted) execFileSync('umount', ['--lazy', disk])
  rmSync(disk, { recursive: true, force: true })
})

it.skipIf(!isMounted)(
  'publishing is 503 until there is room, and what was confirmed is there after a crash',
  async () => {
    const server = await startPrivateRedis({ args: ['--dir', disk, '--auto-aof-rewrite-percentage', '0'] })
    const lab = await openLab({ REDIS_URL: server.url })
    const feed = await lab.feed()
    const confirmed = new Set<string>()
    const filler = join(disk, 'filler')
    await writeFile(filler, Buffer.alloc(7_000_000))
    await until('the disk is full', async () => {
      const { status, headers, body } = await feed.tryAppend(await foreignSet(randomUUID(), feed.audience, 60_000))
      if (status === 202) confirmed.add(body.jti)
      else {
        expect(status).toBe(503)
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      }
      return status === 503
    })
    expect((await feed.pollNow()).status).toBe(503)
    await rm(filler)
    confirmed.add(
      await until(
        'there is room',
        async () => {
          const { status, body } = await feed.tryPublish({ id: 'room' })
          return status === 202 && (body.deliveries[0].jti as string)
        },
        10_000,
      ),
    )
    await server.kill()
    await server.start()
    await until('Redis is back', async () => (await feed.pollNow({ maxEvents: 0 })).status === 200)
    const found = new Set((await feed.check()).states.keys())
    expect([...confirmed].filter(jti => !found.has(jti))).toEqual([])
  },
)
