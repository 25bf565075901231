/** From starting the process to the first SET delivered: against an empty Fastify server's first answer. No budget. */
import { performance } from 'node:perf_hooks'
import type { Bench } from './harness/bench.ts'
import { startRedis } from './harness/redis.ts'
import { addReceivers, EVENT_TYPE, startTransmitter } from './harness/transmitter.ts'
import { startYardstick } from './harness/yardstick.ts'

export const startTime: Bench = {
  name: 'start-time',
  what: 'start of the process to the first SET published and delivered, on a running Redis',
  unit: 'ms',
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    const first = await startTransmitter(setting, redis.url)
    const [feed] = await addReceivers(first, ['r0'])
    await first.stop()
    const authorization = feed!.headers.slice('authorization: '.length).trimEnd()
    let ack: string[] = []
    return [
      {
        name: 'setstream',
        measure: async () => {
          const startMs = performance.now()
          const server = await startTransmitter(setting, redis.url, {}, first.keysDir)
          await server.admin('POST', '/v1/events', { id: String(startMs), events: { [EVENT_TYPE]: {} } })
          const answer = await fetch(`http://127.0.0.1:${server.publicPort}${feed!.path}`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ ack }),
          })
          const { sets } = (await answer.json()) as { sets: Record<string, string> }
          const value = performance.now() - startMs
          ack = Object.keys(sets)
          if (ack.length !== 1) throw new Error(`${ack.length} SETs where one was published`)
          await server.stop()
          return { value }
        },
      },
      {
        name: 'empty route',
        measure: async () => {
          const startMs = performance.now()
          const server = await startYardstick(setting, 'empty.ts')
          await fetch(`http://127.0.0.1:${server.port}/receivers/r0/poll`, { method: 'POST' })
          const value = performance.now() - startMs
          await server.stop()
          return { value }
        },
      },
    ]
  },
}
