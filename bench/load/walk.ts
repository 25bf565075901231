/**
 * One receiver after the other polled so many times, by one connection. Only full pages count: the first page of a feed
 * and its last acknowledgement are outside of the measured time, so that short and long feeds do the same work.
 */
import { performance } from 'node:perf_hooks'
import { HttpConnection, post } from './http-connection.ts'
import { readPage } from './page.ts'
import type { TakeInput, WalkInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

export async function walk(input: WalkInput): Promise<Window> {
  const connection = await HttpConnection.open(input.port)
  const window = new MeasuredWindow(input.watched)
  let measuredMs = 0
  let sets = 0
  for (const { path, headers } of input.feeds) {
    let acks = await poll(connection, path, headers, input.page, '')
    const startMs = performance.now()
    for (let at = 0; at < input.pollsEach; at++) {
      const sentMs = performance.now()
      acks = await poll(connection, path, headers, input.page, acks)
      window.took(performance.now() - sentMs)
      sets += input.page
    }
    measuredMs += performance.now() - startMs
    await poll(connection, path, headers, 0, acks)
  }
  window.close(sets)
  connection.close()
  return { ...window.result, rate: sets / (measuredMs / 1000), seconds: measuredMs / 1000 }
}

/** Takes pages and never acknowledges them. */
export async function take(input: TakeInput): Promise<void> {
  const connection = await HttpConnection.open(input.port)
  for (let at = 0; at < input.pages; at++) {
    await poll(connection, input.feed.path, input.feed.headers, input.page, '')
  }
  connection.close()
}

function poll(connection: HttpConnection, path: string, headers: string, size: number, acks: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = `{"maxEvents":${size},"returnImmediately":true,"ack":[${acks}]}`
    connection.send(post(path, headers, body), (status, answer) => {
      if (status !== 200) return reject(new Error(`poll answered ${status}: ${answer.toString('latin1', 0, 300)}`))
      const page = readPage(answer)
      if (page.count !== size) return reject(new Error(`${page.count} SETs where ${size} were asked for`))
      resolve(page.acks)
    })
  })
}
