/**
 * A server that ends the first subscription in the same breath in which it confirms it, as a node does whose slot moves
 * at that moment; a real one cannot be brought to it at will. It knows what a connection for subscriptions needs.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface MovingRedis {
  readonly url: string
  /** How many subscriptions were asked for. */
  readonly asked: () => number
  readonly isSubscribed: () => boolean
  close(): Promise<void>
}

export async function startMovingRedis(): Promise<MovingRedis> {
  const sockets = new Set<Socket>()
  let asked = 0
  let isSubscribed = false
  const answer = (command: string, argument: string) => {
    if (command === 'hello') return '%1\r\n+proto\r\n:3\r\n'
    if (command === 'info') return '+loading:0\r\n'
    if (command !== 'ssubscribe') return '+OK\r\n'
    asked += 1
    isSubscribed = asked > 1
    const confirmed = push('ssubscribe', argument, 1)
    return isSubscribed ? confirmed : confirmed + push('sunsubscribe', argument, 0)
  }
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    let text = ''
    socket.on('data', data => {
      text += data
      for (let read = readCommand(text); read !== undefined; read = readCommand(text)) {
        text = text.slice(read.length)
        socket.write(answer(read.words[0]?.toLowerCase() ?? '', read.words[1] ?? ''))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    isSubscribed: () => isSubscribed,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function push(kind: string, channel: string, count: number): string {
  return `>3\r\n+${kind}\r\n+${channel}\r\n:${count}\r\n`
}

/** The first command, if all of it has come: a count, then a length and a word for each. */
function readCommand(text: string): { words: string[]; length: number } | undefined {
  const lines = text.split('\r\n')
  const count = Number(lines[0]?.slice(1))
  const whole = lines.slice(0, 1 + 2 * count)
  // What follows the last line break is not a line yet.
  if (lines[0] === '' || lines.length <= whole.length) return undefined
  return { words: whole.filter((_, i) => i > 0 && i % 2 === 0), length: whole.join('\r\n').length + 2 }
}
