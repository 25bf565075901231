/** The repeated jobs of the workers, when Redis has lost them: retention goes on. */
import { it } from 'vitest'
import { openLab } from '../support/feed.ts'
import { until } from '../support/until.ts'

const lab = await openLab({ EXPIRE_AFTER_MS: '2000' })

it.for([
  ['every key of theirs', (key: string) => key.startsWith(`{${lab.prefix}:jobs}`)],
  [
    'the next of them',
    (key: string) => key.startsWith(`{${lab.prefix}:jobs}:retention:repeat:`) || key.endsWith('retention:delayed'),
  ],
] as const)('%s', async ([, isLost]) => {
  const worker = await lab.another({}, ['workers'])
  const jobs = () => lab.redis.keys(`{${lab.prefix}:jobs}:retention:*`)
  await until('retention is scheduled', async () => (await jobs()).some(key => key.includes('repeat')))
  for (const key of await lab.redis.keys(`{${lab.prefix}:*`)) if (isLost(key)) await lab.redis.unlink(key)
  const feed = await lab.feed()
  await feed.publish()
  // Nobody polls: retention alone parks it.
  await until('it has expired', async () => (await feed.stats()).parked === 1, 15_000)
  await worker.stop()
})
