/**
 * The other end of the wire, played by the test: each request waits until the test takes it and says what becomes of it,
 * so that lost answers and refusals happen exactly where the test wants them. Key sets are served by themselves.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Taken {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was sent.
  readonly body: any
  answer(status: number, body?: unknown, headers?: Record<string, string>): void
  /** The answer is lost: the connection ends without one. */
  drop(): void
  /** Resolves once the client has gone away. */
  readonly gone: Promise<void>
}

export interface ScriptedServer {
  readonly url: string
  /** The next request, in order of arrival. */
  next(): Promise<Taken>
  /** Requests that came and were not taken. */
  readonly waiting: number
  /** What `GET` is answered: a key set, or a status. */
  keys: object | number
  readonly keyRequests: number
}

export async function scriptedServer(): Promise<ScriptedServer> {
  const arrived: Taken[] = []
  const takers: ((taken: Taken) => void)[] = []
  let keyRequests = 0
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      keyRequests++
      if (typeof scripted.keys === 'number') response.writeHead(scripted.keys).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(scripted.keys))
      return
    }
    void take(request, response).then(
      taken => {
        const taker = takers.shift()
        if (taker === undefined) arrived.push(taken)
        else taker(taken)
      },
      () => undefined, // The client left while it was sending.
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const scripted: ScriptedServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys: { keys: [] },
    next: () => {
      const taken = arrived.shift()
      return taken === undefined ? new Promise(resolve => takers.push(resolve)) : Promise.resolve(taken)
    },
    get waiting() {
      return arrived.length
    },
    get keyRequests() {
      return keyRequests
    },
  }
  return scripted
}

async function take(request: IncomingMessage, response: ServerResponse): Promise<Taken> {
  const gone = new Promise<void>(resolve => response.once('close', () => resolve()))
  const text = await textOf(request)
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    text,
    body: text === '' ? undefined : JSON.parse(text),
    answer(status, body, headers = {}) {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    },
    drop: () => void request.socket.destroy(),
    gone,
  }
}
