/**
 * What is asked of Redis while something runs. By MONITOR on a plain socket: ioredis takes what is told at once
 * with the answer for answers to commands that it did not send.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect, redisUrl } from './redis.ts'
import { until } from './until.ts'

export type Command = readonly string[]

const LINE = /^\+\d+\.\d+ \[\d+ ([^\]]+)\] (.*)$/

interface Watched {
  /** The shared server, if none is named. */
  readonly url?: string
  /** Tell also of what scripts call. */
  readonly withScripts?: boolean
}

/** @returns the commands that clients sent in the meantime and that name a key of `prefix`. */
export async function commandsDuring(
  prefix: string,
  work: () => Promise<unknown>,
  { url = redisUrl(), withScripts = false }: Watched = {},
): Promise<Command[]> {
  const { hostname, port, password } = new URL(url)
  const redis = connect({}, url)
  const socket = connectTcp(Number(port || 6379), hostname)
  const commands: Command[] = []
  const end = randomBytes(8).toString('hex')
  let isListening = false
  let isOver = false
  let rest = ''
  socket.on('data', chunk => {
    const lines = (rest + chunk.toString('latin1')).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, source, text = ''] = LINE.exec(line) ?? []
      isListening ||= source !== undefined
      const isMeant = source !== undefined && (withScripts || source !== 'lua')
      if (text.includes(end)) isOver = true
      else if (isMeant && text.includes(prefix)) commands.push(argumentsOf(text))
    }
  })
  try {
    await once(socket, 'connect')
    socket.write(`${password === '' ? '' : `AUTH ${decodeURIComponent(password)}\r\n`}MONITOR\r\n`)
    // Anything that is told says that the rest will be.
    await until('Redis to tell', async () => {
      await redis.ping()
      return isListening
    })
    commands.length = 0
    await work()
    // Commands are told in order: what was sent before this one has been told with it.
    await redis.echo(end)
    await until('the end of what Redis tells', () => isOver)
    return commands
  } finally {
    socket.destroy()
    redis.disconnect()
  }
}

function argumentsOf(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, argument = '']) => argument.replace(/\\(["\\])/g, '$1'))
}
