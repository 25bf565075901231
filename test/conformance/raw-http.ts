/**
 * HTTP/1.1 written byte for byte: bodies on any method, repeated headers, bodies that stop half-way, clients that
 * leave. An ordinary client would correct most of what the vectors are about.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface RawRequest {
  readonly method: string
  /** Request target as it goes on the wire. */
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Bytes of the body that are sent before the client stops without leaving. */
  readonly stallAfterBytes?: number
}

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Buffer
}

type Ending =
  | { readonly kind: 'answered'; readonly answer: RawAnswer }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'silent' }

/** How an exchange ended; `afterMs` counts from the moment the request was written. */
export type Outcome = Ending & { readonly afterMs: number }

export interface Exchange {
  readonly outcome: Promise<Outcome>
  /** Resolves when the request is on its way: what happens "while held" is timed from here. */
  readonly sent: Promise<void>
  readonly ended: boolean
  /** Leaves without reading an answer. */
  abort(): void
}

/** @param patienceMs when to give up on an answer. */
export function send(base: URL, request: RawRequest, patienceMs: number): Exchange {
  const socket = open(base)
  const chunks: Buffer[] = []
  let startedAt = performance.now()
  let ended = false
  let failure = 'connection closed'
  const sent = Promise.withResolvers<void>()
  const outcome = Promise.withResolvers<Outcome>()

  const finish = (ending: Ending) => {
    if (ended) return
    ended = true
    clearTimeout(patience)
    outcome.resolve({ ...ending, afterMs: performance.now() - startedAt })
    sent.resolve()
    socket.destroy()
  }
  const read = (atEnd: boolean) => {
    const answer = parseAnswer(Buffer.concat(chunks), request.method, atEnd)
    if (answer !== undefined) finish({ kind: 'answered', answer })
    else if (atEnd) finish({ kind: 'closed', reason: failure })
  }
  const patience = setTimeout(() => finish({ kind: 'silent' }), patienceMs)

  socket.setNoDelay(true)
  socket.once(base.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
    startedAt = performance.now()
    write(socket, base, request)
    sent.resolve()
  })
  socket.on('data', chunk => {
    chunks.push(chunk)
    read(false)
  })
  // An answer may already have arrived when the rest of an oversized body cannot be written any more.
  socket.on('error', error => {
    failure = error.message
  })
  socket.once('close', () => read(true))

  return {
    outcome: outcome.promise,
    sent: sent.promise,
    get ended() {
      return ended
    },
    abort: () => finish({ kind: 'aborted' }),
  }
}

function open(base: URL): Socket {
  const host = base.hostname.replace(/^\[|\]$/g, '')
  if (base.protocol === 'https:') {
    return connectTls({ host, port: Number(base.port || 443), servername: host, ALPNProtocols: ['http/1.1'] })
  }
  return connectTcp({ host, port: Number(base.port || 80) })
}

function write(socket: Socket, base: URL, request: RawRequest): void {
  const names = new Map(request.headers.map(([name, value]) => [name.toLowerCase(), value]))
  const chunked = /chunked/i.test(names.get('transfer-encoding') ?? '')
  const head = [`${request.method} ${request.target} HTTP/1.1`]
  if (!names.has('host')) head.push(`Host: ${base.host}`)
  for (const [name, value] of request.headers) head.push(`${name}: ${value}`)
  // A body of zero bytes is announced as such: without a length there would be no body at all.
  if (!chunked && !names.has('content-length')) head.push(`Content-Length: ${request.body.length}`)
  if (!names.has('connection')) head.push('Connection: close')
  const text = `${head.join('\r\n')}\r\n\r\n`
  socket.write(Buffer.from(text, [...text].every(character => character <= '\xff') ? 'latin1' : 'utf8'))

  const stalls = request.stallAfterBytes !== undefined
  const body = request.body.subarray(0, request.stallAfterBytes ?? request.body.length)
  if (!chunked) return void socket.write(body)
  // Two chunks, so that a parser that reads only the first is found out.
  const half = Math.ceil(body.length / 2)
  for (const chunk of [body.subarray(0, half), body.subarray(half)]) {
    if (chunk.length > 0) socket.write(Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF]))
  }
  if (!stalls) socket.write('0\r\n\r\n')
}

const CRLF = Buffer.from('\r\n')
const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** @returns nothing while the answer is incomplete. */
function parseAnswer(bytes: Buffer, method: string, atEnd: boolean): RawAnswer | undefined {
  const headEnd = bytes.indexOf(END_OF_HEAD)
  if (headEnd < 0) return undefined
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1])
  const rest = bytes.subarray(headEnd + END_OF_HEAD.length)
  if (status >= 100 && status < 200) return parseAnswer(rest, method, atEnd)

  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim().toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  const body = bodyOf(rest, headers, method === 'HEAD' || status === 204 || status === 304, atEnd)
  return body === undefined ? undefined : { status, headers, body }
}

function bodyOf(
  rest: Buffer,
  headers: ReadonlyMap<string, readonly string[]>,
  bodiless: boolean,
  atEnd: boolean,
): Buffer | undefined {
  if (bodiless) return Buffer.alloc(0)
  if (headers.get('transfer-encoding')?.some(value => /chunked/i.test(value))) return dechunk(rest)
  const length = headers.get('content-length')?.[0]
  if (length === undefined) return atEnd ? rest : undefined
  return rest.length >= Number(length) ? rest.subarray(0, Number(length)) : undefined
}

function dechunk(rest: Buffer): Buffer | undefined {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf(CRLF, at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16)
    if (size === 0) return Buffer.concat(parts)
    const from = lineEnd + CRLF.length
    if (rest.length < from + size + CRLF.length) return undefined
    parts.push(rest.subarray(from, from + size))
    at = from + size + CRLF.length
  }
}

export function header(answer: RawAnswer, name: string): string | undefined {
  return answer.headers.get(name.toLowerCase())?.join(', ')
}
