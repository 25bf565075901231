/** One request as a test wants it: any header, any source address, any TLS. */
import { once } from 'node:events'
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { ConnectionOptions } from 'node:tls'

export interface Ask {
  readonly method?: string
  readonly token?: string
  readonly headers?: OutgoingHttpHeaders
  /** A string as it is; anything else as JSON. */
  readonly body?: unknown
  /** Any of 127.0.0.0/8. */
  readonly localAddress?: string
  readonly tls?: ConnectionOptions
  /** Request target as it goes on the wire, in place of that of the URL. */
  readonly path?: string
  /** Absent: a connection of its own. */
  readonly agent?: Agent
  /** Sends the headers, and a body never. */
  readonly open?: boolean
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is the test's business.
  readonly body: any
}

export async function ask(url: string, options: Ask = {}): Promise<Answered> {
  const { token, headers = {}, body, localAddress, tls = {} } = options
  const send = url.startsWith('https:') ? tlsRequest : plainRequest
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const request = send(url, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    agent: options.agent ?? false,
    ...tls,
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(localAddress === undefined ? {} : { localAddress }),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      // Node.js announces the body of a DELETE by itself in no way.
      ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...headers,
    },
  })
  request.on('error', () => {})
  if (options.open) request.flushHeaders()
  else request.end(text)
  const [response] = await once(request, 'response')
  let answer = ''
  for await (const chunk of response) answer += chunk
  if (options.open) request.destroy()
  return {
    status: response.statusCode,
    headers: response.headers,
    text: answer,
    get body() {
      return answer === '' ? undefined : JSON.parse(answer)
    },
  }
}
