/** Receivers that wait: long polls that stay open until they are let go. */
import { HttpConnection, post } from './http-connection.ts'
import type { HoldInput } from './target.ts'

let held: HttpConnection[] = []

/** Opens the connections and sends a poll on each; a few at a time, as a listen queue is finite. */
export async function hold(input: HoldInput): Promise<number> {
  const polls = input.feeds.flatMap(feed => Array.from({ length: input.each }, () => feed))
  let next = 0
  const open = async () => {
    for (let at = next++; at < polls.length; at = next++) {
      const feed = polls[at]!
      const connection = await HttpConnection.open(input.port)
      held.push(connection)
      const poll = () =>
        connection.send(post(feed.path, feed.headers, '{}'), (status, body) => {
          if (status !== 200) throw new Error(`a held poll was answered ${status}: ${body.toString('latin1', 0, 300)}`)
          poll() // Its wait was over.
        })
      poll()
    }
  }
  await Promise.all(Array.from({ length: 64 }, open))
  return held.length
}

export async function letGo(): Promise<void> {
  for (const connection of held) connection.close()
  held = []
}
