/** RFC 9111 §5.2.2.5, RFC 9110 §15.5: whoever gives an answer, a cache must not keep it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import { type Feed, openLab } from '../support/feed.ts'

const lab = await openLab({ HEADER_TIMEOUT_MS: '300', BODY_TIMEOUT_MS: '300' })
let feed: Feed
beforeAll(async () => {
  feed = await lab.feed()
})

const BODY = '{"returnImmediately":true}'
/** Writes a request as it is. @returns the head of the answer, up to the end of the connection. */
async function headOf(text: string): Promise<string> {
  const { hostname, port } = new URL(lab.transmitter.publicUrl)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.on('error', () => {})
  socket.on('data', chunk => {
    received += chunk
  })
  socket.write(text)
  await once(socket, 'close')
  return received.split('\r\n\r\n', 1)[0] as string
}

const poll = (...headers: string[]) =>
  [
    `POST /receivers/${feed.id}/poll HTTP/1.1`,
    'Connection: close',
    'Content-Type: application/json',
    `Authorization: Bearer ${feed.token}`,
    ...headers,
    '',
    BODY,
  ].join('\r\n')
const host = 'Host: x'
const length = `Content-Length: ${BODY.length}`

it.each<[string, number, () => string]>([
  ['a poll', 200, () => poll(host, length)],
  ['a request without Host (RFC 9112 §3.2)', 400, () => poll(length)],
  ['an expectation that nobody knows', 417, () => poll(host, length, 'Expect: tea')],
  ['two lengths', 400, () => poll(host, length, 'Content-Length: 3')],
  ['a length beside chunks', 400, () => poll(host, length, 'Transfer-Encoding: chunked')],
  ['a header that is none', 400, () => poll(host, length, 'No colon')],
  ['a header without end', 431, () => poll(host, length, `X: ${'x'.repeat(20_000)}`)],
  ['a path that is none', 400, () => 'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
  ['a path that nobody serves', 404, () => 'GET /else HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
  ['a method that is none', 400, () => 'TEA / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['another protocol', 400, () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a request that does not end', 408, () => 'POST / HTTP/1.1\r\nHost: x\r\n'],
  ['a body that does not end', 408, () => poll(host, 'Content-Length: 1000')],
])('the answer to %s says so (P-192, P-193)', async (_, status, text) => {
  const [statusLine, ...headers] = (await headOf(text())).split('\r\n')
  expect(statusLine).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  const names = new Map(headers.map(header => header.toLowerCase().split(/: */, 2) as [string, string]))
  expect(names.get('cache-control')).toBe('no-store')
  for (const name of ['expires', 'etag', 'last-modified', 'content-location', 'location']) {
    expect(names.has(name)).toBe(false)
  }
})
