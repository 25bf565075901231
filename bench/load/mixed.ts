/**
 * The same work whatever the number of receivers: publish one event to a receiver, poll it, acknowledge what the poll
 * before brought. Each worker goes through its share of the receivers in turn.
 */
import { nextEvent } from './event.ts'
import { HttpConnection, post } from './http-connection.ts'
import { readPage } from './page.ts'
import type { MixedInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

export async function mixed(input: MixedInput): Promise<Window> {
  const workers = await Promise.all(
    Array.from({ length: input.workers }, async (_, at) => ({
      producer: await HttpConnection.open(input.internalPorts[at % input.internalPorts.length]!),
      receiver: await HttpConnection.open(input.publicPorts[at % input.publicPorts.length]!),
    })),
  )
  const acks: string[] = new Array(input.feeds.length).fill('')
  let delivered = 0
  const window = new MeasuredWindow(input.watched)
  const endMs = window.openedAtMs + input.seconds * 1000
  await Promise.all(
    workers.map(async ({ producer, receiver }, first) => {
      for (let turn = 0; performance.now() < endMs; turn++) {
        // With fewer receivers than workers some share one.
        const at = (first + turn * input.workers) % input.feeds.length
        const event = nextEvent(input.eventType, [input.ids[at]!])
        const published = await producer.ask(post('/v1/events', input.publishHeaders, event))
        if (published.status !== 202) throw new Error(`publish answered ${published.status}: ${published.body}`)
        const { path, headers } = input.feeds[at]!
        const ack = acks[at]
        acks[at] = ''
        await new Promise<void>((resolve, reject) =>
          receiver.send(
            post(path, headers, `{"maxEvents":10,"returnImmediately":true,"ack":[${ack}]}`),
            (status, body) => {
              if (status !== 200)
                return reject(new Error(`poll answered ${status}: ${body.toString('latin1', 0, 300)}`))
              const page = readPage(body)
              delivered += page.count
              acks[at] = page.acks
              resolve()
            },
          ),
        )
      }
    }),
  )
  window.close(delivered)
  for (const { producer, receiver } of workers) {
    producer.close()
    receiver.close()
  }
  return window.result
}
