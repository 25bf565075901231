/**
 * The handler a competent user would write in an afternoon with the same libraries: bare Fastify, a consumer group, the
 * entry ID as the name of a SET, acknowledge-and-delete and the next page in one pipeline. No authentication, no
 * validation, no index of jtis, no redelivery, no long poll.
 */
import Fastify from 'fastify'
import { Redis } from 'ioredis'

const app = Fastify()
const redis = new Redis(process.env.REDIS_URL!)

app.post('/receivers/:id/poll', async request => {
  const { id } = request.params as { id: string }
  const { ack = [], maxEvents = 100 } = request.body as { ack?: string[]; maxEvents?: number }
  const log = `naive:${id}`
  const pipeline = redis.pipeline()
  if (ack.length > 0) {
    pipeline.xack(log, 'poll', ...ack)
    pipeline.xdel(log, ...ack)
  }
  pipeline.xreadgroup('GROUP', 'poll', 'handler', 'COUNT', maxEvents, 'STREAMS', log, '>')
  const results = await pipeline.exec()
  const [error, streams] = results!.at(-1) as [Error | null, [string, [string, string[]][]][] | null]
  if (error) throw error
  const entries = streams?.[0]?.[1] ?? []
  const sets: Record<string, string> = {}
  for (const [entry, fields] of entries) sets[entry] = fields[1]!
  return { sets, moreAvailable: entries.length === maxEvents }
})

await app.listen({ port: Number(process.env.PORT) })
