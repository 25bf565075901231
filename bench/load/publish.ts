/** Producers that publish as fast as they are answered. */
import { performance } from 'node:perf_hooks'
import { nextBatch, nextEvent } from './event.ts'
import { HttpConnection, post } from './http-connection.ts'
import type { PublishInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

/** The rate is in events; one that was not queued for each receiver is an error, never a fast answer. */
export async function publish(input: PublishInput): Promise<Window> {
  const connections = await Promise.all(
    Array.from({ length: input.connections }, () => HttpConnection.open(input.port)),
  )
  const one = input.batch === 1
  const path = one ? '/v1/events' : '/v1/events/batch'
  const window = new MeasuredWindow(input.watched)
  const endMs = window.openedAtMs + input.seconds * 1000
  let calls = 0
  let turn = 0
  await Promise.all(
    connections.map(
      connection =>
        new Promise<void>((resolve, reject) => {
          const next = () => {
            const sentMs = performance.now()
            if (sentMs >= endMs) return resolve()
            const body = one
              ? nextEvent(
                  input.eventType,
                  input.inTurn ? [input.inTurn[turn++ % input.inTurn.length]!] : input.receivers,
                )
              : nextBatch(input.batch, input.eventType, input.receivers)
            connection.send(post(path, input.headers, body), (status, answer) => {
              const text = answer.toString('latin1')
              if (status !== (one ? 202 : 200) || countOf(text, '"status":"queued"') < input.batch) {
                return reject(new Error(`publish answered ${status}: ${text.slice(0, 400)}`))
              }
              calls += 1
              window.took(performance.now() - sentMs)
              next()
            })
          }
          next()
        }),
    ),
  )
  window.close(calls * input.batch, { calls })
  for (const connection of connections) connection.close()
  return window.result
}

function countOf(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count += 1
  return count
}
