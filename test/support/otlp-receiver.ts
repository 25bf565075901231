/** Takes traces as a collector does: OTLP over HTTP, in protobuf, of which the fields of spans are read. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll } from 'vitest'

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly name: string
  readonly attributes: Readonly<Record<string, string | number>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly isError: boolean
}

export interface OtlpReceiver {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (request.method !== 'POST' || request.url !== '/v1/traces') return void response.writeHead(404).end()
    for (const resource of fields(Buffer.concat(chunks), 1)) {
      for (const scope of fields(resource, 2)) spans.push(...fields(scope, 2).map(toSpan))
    }
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return { url: `http://127.0.0.1:${address.port}`, spans }
}

/** Field numbers: opentelemetry-proto, trace.proto and common.proto. */
function toSpan(span: Buffer): ReceivedSpan {
  const attributes: Record<string, string | number> = {}
  for (const pair of fields(span, 9)) {
    const value = fields(pair, 2)[0] ?? Buffer.alloc(0)
    const text = fields(value, 1)[0]
    attributes[textOf(pair, 1)] = text === undefined ? Number(varints(value, 3)[0] ?? 0) : text.toString()
  }
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentId: hex(span, 4),
    name: textOf(span, 5),
    attributes,
    links: fields(span, 13).map(link => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    isError: fields(span, 15).some(status => varints(status, 3)[0] === 2n),
  }
}

const hex = (message: Buffer, field: number) => fields(message, field)[0]?.toString('hex') ?? ''
const textOf = (message: Buffer, field: number) => fields(message, field)[0]?.toString() ?? ''

function fields(message: Buffer, wanted: number): Buffer[] {
  return walk(message).flatMap(({ field, bytes }) => (field === wanted && bytes !== undefined ? [bytes] : []))
}

function varints(message: Buffer, wanted: number): bigint[] {
  return walk(message).flatMap(({ field, number }) => (field === wanted && number !== undefined ? [number] : []))
}

function walk(message: Buffer): { field: number; bytes?: Buffer; number?: bigint }[] {
  const found: { field: number; bytes?: Buffer; number?: bigint }[] = []
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const key = Number(varint())
    const field = key >> 3
    switch (key & 7) {
      case 0:
        found.push({ field, number: varint() })
        break
      case 1:
        at += 8
        break
      case 2: {
        const length = Number(varint())
        found.push({ field, bytes: message.subarray(at, at + length) })
        at += length
        break
      }
      case 5:
        at += 4
        break
      default:
        throw new Error(`wire type ${key & 7}`)
    }
  }
  return found
}
