import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { RequestMessage } from '../../../src/http/request-message.ts'

type Handler = (message: RequestMessage, response: ServerResponse) => unknown

const LIMIT = 300_000
const open: { socket: Socket; close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(({ close }) => close()))
})

/** A client's socket to a server, and all that was answered so far. */
async function connected(handle: Handler) {
  const options = { IncomingMessage: RequestMessage as typeof IncomingMessage }
  const server = createServer(options, (message, response) => handle(message as RequestMessage, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', piece => {
    text += piece
  })
  const close = async () => {
    socket.destroy()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  open.push({ socket, close })
  return {
    socket,
    server,
    post: (body: string) => socket.write(`${head(`Content-Length: ${body.length}`)}${body}`),
    /** The bodies of so many answers. */
    async answers(count: number): Promise<string[]> {
      for (;;) {
        const bodies = [...text.matchAll(/\r\n\r\n<([^>]*)>/g)].map(match => match[1] as string)
        if (bodies.length >= count) return bodies
        await once(socket, 'data')
      }
    },
  }
}

function head(...lines: string[]): string {
  return ['POST / HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n')
}

function chunk(piece: string): string {
  return `${piece.length.toString(16)}\r\n${piece}\r\n`
}

function take(message: RequestMessage, response: ServerResponse): void {
  message.takeBody(LIMIT, (error, body) => answer(response, error?.code ?? `${body.length} ${body.subarray(0, 9)}`))
}

function answer(response: ServerResponse, text: string): void {
  response.end(`<${text}>`)
}

/** What is called in a turn of its own, when all that came with the head was read. */
const later = (handle: Handler): Handler => {
  return (message, response) => setImmediate(handle, message, response)
}

describe.each([
  ['at once', take],
  ['in a later turn', later(take)],
])('the body of a request, taken %s', (_when, handle) => {
  it.each([0, 1, 1000, 65_535, 65_536, 70_000, LIMIT])('is whole, of %i bytes', async length => {
    const { post, answers } = await connected(handle)
    post('a'.repeat(length))
    expect(await answers(1)).toEqual([`${length} ${'a'.repeat(length).slice(0, 9)}`])
  })

  it('is whole when it comes in pieces', async () => {
    const { socket, answers } = await connected(handle)
    socket.write(head('Transfer-Encoding: chunked'))
    for (const piece of ['one', ' ', 'and', ' ', 'two']) await new Promise(sent => socket.write(chunk(piece), sent))
    socket.write('0\r\n\r\n')
    expect(await answers(1)).toEqual(['11 one and t'])
  })

  it('is refused when more is announced than there may be, and before it comes', async () => {
    const { socket, answers } = await connected(handle)
    socket.write(head(`Content-Length: ${LIMIT + 1}`))
    expect(await answers(1)).toEqual(['too_large'])
  })

  it('is refused as soon as more came than there may be', async () => {
    const { socket, answers } = await connected(handle)
    socket.write(`${head('Transfer-Encoding: chunked')}${chunk('a'.repeat(LIMIT))}${chunk('b')}`)
    expect(await answers(1)).toEqual(['too_large'])
  })

  it('is followed by that of the next request, on the same connection and sent with it', async () => {
    const { socket, answers } = await connected(handle)
    const request = (body: string) => `${head(`Content-Length: ${body.length}`)}${body}`
    socket.write(request('first') + request('second') + request(''))
    expect(await answers(3)).toEqual(['5 first', '6 second', '0 '])
    socket.write(request('third'))
    expect(await answers(4)).toContain('5 third')
  })

  it('fails when the client leaves before its end', async () => {
    const failed = Promise.withResolvers<string | undefined>()
    const { socket } = await connected((message, response) => {
      const { takeBody } = message
      message.takeBody = (limit, taker) =>
        takeBody.call(message, limit, (error, body) => {
          failed.resolve(error?.code)
          taker(error, body)
        })
      handle(message, response)
    })
    socket.write(`${head('Content-Length: 10')}half`, () => socket.destroy())
    expect(await failed.promise).toBe('bad_request')
  })
})

it.each(['half', 'the whole'])('fails who takes %s of a body when the client has left', async body => {
  const failed = Promise.withResolvers<string | undefined>()
  const { socket } = await connected(message => {
    message.once('close', () => message.takeBody(LIMIT, error => failed.resolve(error?.code)))
  })
  socket.write(`${head('Content-Length: 9')}${body}`, () => socket.destroy())
  expect(await failed.promise).toBe('bad_request')
})

describe('a request whose body nobody took', () => {
  it.each([
    ['has come', 20],
    ['has to be read first', 400_000],
  ])('leaves the connection to the next, where the body %s', async (_when, length) => {
    let count = 0
    const { post, answers } = await connected((message, response) => {
      count += 1
      if (count === 1) answer(response, 'refused')
      else take(message, response)
    })
    post('a'.repeat(length))
    expect(await answers(1)).toEqual(['refused'])
    post('next')
    expect(await answers(2)).toEqual(['refused', '4 next'])
  })

  it('does not let a client send without end', async () => {
    const { socket, server } = await connected(() => {})
    socket.write(head('Content-Length: 100000000'))
    const [request] = await once(server, 'request')
    socket.write(Buffer.alloc(50_000_000))
    // What waits on this side is what the kernel did not take, since the server stopped reading.
    await once(request.socket, 'pause')
    expect(request.socket.bytesRead).toBeLessThan(1_000_000)
    expect(socket.writableLength).toBeGreaterThan(0)
  })
})

describe.each([
  ['at once', (handle: Handler) => handle],
  ['in a later turn', later],
])('a request that is read as a stream, %s', (_when, when) => {
  const read = when(async (message, response) => {
    let ends = 0
    message.on('end', () => {
      ends += 1
    })
    const { length } = await buffer(message)
    answer(response, `${length} ${ends}`)
  })

  it.each([0, 5, 200_000])('brings its %i bytes, and ends once', async length => {
    const { post, answers } = await connected(read)
    post('a'.repeat(length))
    expect(await answers(1)).toEqual([`${length} 1`])
  })

  it('does so where all of it is parsed in one go, as with TLS', async () => {
    const { post, answers, server } = await connected(read)
    // Node.js then hands on what it reads, and its parser no longer reads by itself.
    server.on('connection', (socket: Socket) => socket.on('data', () => {}))
    post('whole')
    expect(await answers(1)).toEqual(['5 1'])
  })
})

it('is forgotten by the connection once it was answered', async () => {
  const { socket, server, answers } = await connected(take)
  server.once('request', message => {
    expect(message.readableEnded).toBe(false)
    message.socket.once('close', () => expect(message.aborted).toBe(false))
  })
  const requested = once(server, 'request')
  socket.write(`${head('Content-Length: 4')}body`)
  await answers(1)
  const [message] = await requested
  expect(message.readableEnded).toBe(true)
  expect(message.listenerCount('end')).toBe(0)
})
