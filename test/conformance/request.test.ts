/** The runner's own parts: what the forms of a vector mean, and that bytes go out and come in as they are. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { readCondition } from './condition.ts'
import { OWN_LIMITS } from './own-server.ts'
import { type RawRequest, send } from './raw-http.ts'
import { buildRequest, submittedValues } from './request.ts'
import { amount, NotRun, type VectorRequest } from './vector.ts'

/** `${NAME}`, as a vector writes it. */
const the = (name: string) => `\${${name}}`
const placeholders = async (name: string) => ({ POLL: '/receivers/r1/poll', TOKEN: 'secret' })[name]
const build = (request: VectorRequest) => buildRequest(request, placeholders, { ...OWN_LIMITS, pageMax: 3 })

describe('the request of a vector', () => {
  it('goes by POST to the poll endpoint of the caller unless it says otherwise', async () => {
    const request = await build({ headers: { Authorization: `Bearer ${the('TOKEN')}` }, body: {} })
    expect(request).toMatchObject({ method: 'POST', target: '/receivers/r1/poll' })
    expect(request.headers).toEqual([['Authorization', 'Bearer secret']])
    expect(request.body.toString()).toBe('{}')
  })

  it('keeps exact characters and exact bytes', async () => {
    expect((await build({ bodyText: '{"a":1,}' })).body.toString()).toBe('{"a":1,}')
    expect((await build({ bodyBase64: '/w==' })).body).toEqual(Buffer.from([0xff]))
  })

  it('repeats what a template names', async () => {
    const list = { text: '"page-{i}"', times: 'C', separator: ',' }
    const { body } = await build({ bodyGenerate: { template: '{"ack":[<list>]}', list } })
    expect(body.toString()).toBe('{"ack":["page-0","page-1","page-2"]}')
  })

  it.each([
    [4, 4],
    [true, 6],
    ['{"ack"', 6],
    [{ text: '[', times: 5 }, 5],
  ])('stops where %j says and has announced more', async (stall, bytes) => {
    const request = await build({ bodyGenerate: { template: '{"ack":["a"]}'.slice(0, 12), stall } })
    expect(request.stallAfterBytes).toBe(bytes)
    expect(request.body.length).toBeGreaterThan(bytes)
  })

  it('is not run where a header holds a placeholder nobody knows', async () => {
    await expect(build({ headers: { Authorization: `Bearer ${the('TOKEN_MAGIC')}` }, body: {} })).rejects.toThrow(
      NotRun,
    )
  })

  it('leaves hostile text in a body alone', async () => {
    const bodyText = `{"ack":["${the('JNDI')}"]}`
    expect((await build({ bodyText })).body.toString()).toBe(bodyText)
  })

  it('counts header, query and body among the values an error must not repeat', async () => {
    const target = `${the('POLL')}?access_token=${the('TOKEN')}`
    const values = submittedValues(await build({ target, headers: { Accept: 'text/html' }, body: { ack: ['kx-a1'] } }))
    expect(values).toEqual(expect.arrayContaining(['secret', 'text/html', 'kx-a1']))
  })
})

describe('words of a vector file', () => {
  it.each([
    ['page cap plus 1 SETs queued', { queuedBeyondPage: 1 }],
    ['C+2 SETs are queued', { queuedBeyondPage: 2 }],
    ['page-0 to page-(C-1) delivered, nothing queued', { fullPageDelivered: true }],
    ["the recipient's request budget is used up", { budgetUsedUp: true }],
    ['kx-p1 was parked because N attempts were used up', { parkedFor: 'attempts' }],
    ['kx-p1 was parked by an error report', { parkedFor: 'report' }],
    ['stream paused (only where stream status is implemented)', { status: 'paused' }],
    ['the store is unavailable', { storeDown: true }],
    ['two instances on one store', { secondInstance: true }],
    ['skip the owed check if the transmitter refuses such a jti at enqueue', { mayBeRefused: true }],
  ])('%s', (sentence, conditions) => {
    expect(readCondition(sentence)).toEqual(conditions)
  })

  it('are not guessed at', () => {
    expect(() => readCondition('the moon is full')).toThrow(NotRun)
    expect(() => amount('Z', OWN_LIMITS)).toThrow(NotRun)
  })

  it('may add to a symbol', () => {
    expect(amount('bodyCap+1', OWN_LIMITS)).toBe(OWN_LIMITS.bodyBytesMax + 1)
  })
})

describe('raw HTTP', () => {
  const servers: Server[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.close()
      await once(server, 'close')
    }
  })
  /** Answers each connection as told and keeps what it received. */
  async function listen(onData: (socket: Socket, received: string) => void): Promise<{ url: URL; received: string[] }> {
    const received: string[] = []
    const server = createServer(socket => {
      let text = ''
      socket.on('error', () => {})
      socket.on('data', chunk => {
        text += chunk.toString('latin1')
        received[0] = text
        onData(socket, text)
      })
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), received }
  }
  const get: RawRequest = { method: 'GET', target: '/x', headers: [['X-A', '1']], body: Buffer.from('{}') }

  it('sends a body with any method and reads a chunked answer that comes in pieces', async () => {
    const answer =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-B: 1\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'
    const { url, received } = await listen((socket, text) => {
      if (!text.endsWith('{}')) return
      for (const character of answer) socket.write(character)
    })
    const outcome = await send(url, get, 5000).outcome
    expect(received[0]).toBe(
      `GET /x HTTP/1.1\r\nHost: ${url.host}\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
    )
    expect(outcome).toMatchObject({ kind: 'answered', answer: { status: 200, body: Buffer.from('abcde') } })
    expect(outcome.kind === 'answered' && outcome.answer.headers.get('x-b')).toEqual(['1', '2'])
  })

  it('chunks a body when the headers say so', async () => {
    const { url, received } = await listen((socket, text) => {
      if (text.endsWith('0\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
    await send(url, { ...get, headers: [['Transfer-Encoding', 'chunked']] }, 5000).outcome
    expect(received[0]).toContain('\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n')
  })

  it('tells a closed connection, a silent one and a client that left apart', async () => {
    const closing = await listen(socket => socket.destroy())
    expect(await send(closing.url, get, 5000).outcome).toMatchObject({ kind: 'closed' })
    const silent = await listen(() => {})
    expect(await send(silent.url, get, 50).outcome).toMatchObject({ kind: 'silent' })
    const exchange = send(silent.url, get, 5000)
    await exchange.sent
    exchange.abort()
    expect(await exchange.outcome).toMatchObject({ kind: 'aborted' })
  })
})
