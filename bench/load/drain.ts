/** Receivers that poll as fast as they are answered, each poll acknowledging the SETs of the one before. */
import { performance } from 'node:perf_hooks'
import { HttpConnection, post } from './http-connection.ts'
import { readPage } from './page.ts'
import type { DrainInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

/**
 * Connection i serves feed i modulo their number. The window ends when the first feed is empty, so that it has no tail
 * of half-idle connections; all feeds are then drained and acknowledged outside of it.
 */
export async function drain(input: DrainInput): Promise<Window> {
  const connections = await Promise.all(
    Array.from({ length: input.connections }, () => HttpConnection.open(input.port)),
  )
  let sets = 0
  let polls = 0
  const window = new MeasuredWindow(input.watched)
  const poll = (connection: HttpConnection, path: string, headers: string) =>
    new Promise<void>((resolve, reject) => {
      const next = (ack: string) => {
        const sentMs = performance.now()
        const body = `{"maxEvents":${input.page},"returnImmediately":true,"ack":[${ack}]}`
        connection.send(post(path, headers, body), (status, answer) => {
          if (status !== 200) return reject(new Error(`poll answered ${status}: ${answer.toString('latin1', 0, 300)}`))
          const page = readPage(answer)
          polls += 1
          sets += page.count
          window.took(performance.now() - sentMs)
          if (page.count === 0 || sets === input.setsMax) window.close(sets, { polls, setsPerPoll: sets / polls })
          if (page.count === 0) return resolve()
          next(page.acks)
        })
      }
      next('')
    })
  await Promise.all(
    connections.map((connection, at) => {
      const feed = input.feeds[at % input.feeds.length]!
      return poll(connection, feed.path, feed.headers)
    }),
  )
  for (const connection of connections) connection.close()
  // Those of clearing up as well: for whoever counts what Redis was asked for.
  return { ...window.result, detail: { ...window.result.detail, pollsAll: polls } }
}
