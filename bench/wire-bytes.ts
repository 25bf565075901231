/** Bytes that a SET of 650 bytes moves: by HTTP, to and from Redis, to a replica, to the append-only file. No budget. */
import type { Redis } from 'ioredis'
import type { Bench, Sample } from './harness/bench.ts'
import { until } from './harness/net.ts'
import { startRedis } from './harness/redis.ts'
import { addReceivers, EVENT_TYPE, startTransmitter } from './harness/transmitter.ts'
import { nextBatch, nextEvent } from './load/event.ts'
import { HttpConnection, post } from './load/http-connection.ts'
import { readPage } from './load/page.ts'

const SETS = 2000

export const wireBytes: Bench = {
  name: 'wire-bytes',
  what: 'bytes a SET without TLS and packet headers; of Redis, what it receives and sends',
  unit: 'bytes',
  roundsMax: 1,
  warmUp: false,
  budgets: [],
  async open(setting) {
    const redis = await startRedis(setting)
    await startRedis(setting, { replicaof: `127.0.0.1 ${new URL(redis.url).port}` })
    await until(async () => {
      if (!/state=online/.test(await redis.client.info('replication'))) throw new Error('the replica is not online')
    })
    const transmitter = await startTransmitter(setting, redis.url)
    const [feed] = await addReceivers(transmitter, ['r0'])
    const producer = await HttpConnection.open(transmitter.internalPort)
    const receiver = await HttpConnection.open(transmitter.publicPort)
    setting.defer(() => {
      producer.close()
      receiver.close()
    })
    const measured = async (connection: HttpConnection, work: () => Promise<void>): Promise<Sample> => {
      const before = { ...(await redisBytes(redis.client)), ...httpBytes(connection) }
      await work()
      const after: Record<string, number> = { ...(await redisBytes(redis.client)), ...httpBytes(connection) }
      const detail = Object.fromEntries(
        Object.entries(before).map(([name, was]) => [name, (after[name]! - was) / SETS]),
      )
      return { value: detail.httpIn! + detail.httpOut!, detail }
    }
    const publish = (batch: number) => async () => {
      for (let sent = 0; sent < SETS; sent += batch) {
        const request =
          batch === 1
            ? post('/v1/events', transmitter.adminHeaders, nextEvent(EVENT_TYPE, ['r0']))
            : post('/v1/events/batch', transmitter.adminHeaders, nextBatch(batch, EVENT_TYPE, ['r0']))
        const { status, body } = await producer.ask(request)
        if (status >= 300) throw new Error(`publish answered ${status}: ${body.slice(0, 300)}`)
      }
    }
    const poll = (page: number) => async () => {
      for (let acks = '', count = -1; count !== 0; ) {
        const body = `{"maxEvents":${page},"returnImmediately":true,"ack":[${acks}]}`
        const answer = await receiver.ask(post(feed!.path, feed!.headers, body))
        if (answer.status !== 200) throw new Error(`poll answered ${answer.status}: ${answer.body.slice(0, 300)}`)
        ;({ acks, count } = readPage(Buffer.from(answer.body, 'latin1')))
      }
    }
    // In turn: each poll side fetches what the publish side before it queued. Polls of an empty feed end both.
    return [
      { name: 'publish, 1 a call', measure: () => measured(producer, publish(1)) },
      { name: 'poll, 1 a page', measure: () => measured(receiver, poll(1)) },
      { name: 'publish, 100 a call', measure: () => measured(producer, publish(100)) },
      { name: 'poll, 100 a page', measure: () => measured(receiver, poll(100)) },
    ]
  },
}

/** As the server sees them. */
function httpBytes({ bytesRead, bytesWritten }: HttpConnection) {
  return { httpIn: bytesWritten, httpOut: bytesRead }
}

async function redisBytes(redis: Redis) {
  const info = `${await redis.info('stats')}${await redis.info('persistence')}`
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const replica = field('total_net_repl_output_bytes')
  return {
    redisIn: field('total_net_input_bytes'),
    redisOut: field('total_net_output_bytes') - replica, // Which includes what goes to replicas.
    replica,
    disk: field('aof_current_size'),
  }
}
