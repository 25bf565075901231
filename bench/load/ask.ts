/** The polls of a drain, sent to a route that has nothing: how many requests a second the HTTP server alone answers. */
import { performance } from 'node:perf_hooks'
import { HttpConnection, post } from './http-connection.ts'
import type { AskInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

export async function ask(input: AskInput): Promise<Window> {
  const connections = await Promise.all(
    Array.from({ length: input.connections }, () => HttpConnection.open(input.port)),
  )
  // As long as the jtis of a full page.
  const acks = Array.from({ length: input.page }, (_, at) => `"e${String(at).padStart(22, '0')}"`).join(',')
  const window = new MeasuredWindow(input.watched)
  const endMs = window.openedAtMs + input.seconds * 1000
  let answered = 0
  await Promise.all(
    connections.map(
      (connection, at) =>
        new Promise<void>((resolve, reject) => {
          const feed = input.feeds[at % input.feeds.length]!
          const next = () => {
            const sentMs = performance.now()
            if (sentMs >= endMs) return resolve()
            const body = `{"maxEvents":${input.page},"returnImmediately":true,"ack":[${acks}]}`
            connection.send(post(feed.path, feed.headers, body), status => {
              if (status !== 200) return reject(new Error(`answered ${status}`))
              answered += 1
              window.took(performance.now() - sentMs)
              next()
            })
          }
          next()
        }),
    ),
  )
  window.close(answered)
  for (const connection of connections) connection.close()
  return window.result
}
