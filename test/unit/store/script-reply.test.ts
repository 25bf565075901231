/**
 * Replies of scripts are read here, all others by ioredis. Whoever reads it, a call is answered the same, wherever the stream
 * is cut: tried with ioredis' own answering of its queue.
 */
import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { PageBuffers } from '../../../src/store/page-buffers.ts'
import { PageFraming } from '../../../src/store/page-framing.ts'
import { ScriptReplyReader } from '../../../src/store/script-reply.ts'
import { encode, type Reply, readGroupReply } from '../../support/resp.ts'

const { default: DataHandler } = createRequire(import.meta.url)(
  'ioredis/built/DataHandler.js',
) as typeof import('ioredis/built/DataHandler.js')

interface Said {
  readonly bytes: Buffer
  readonly by: 'script' | 'other' | 'nobody'
}

/** What a queue of calls is answered, each with who it was, and how many replies were read here. */
function answers(all: readonly Said[], lengths: readonly number[], version: 2 | 3, isReadHere: boolean) {
  const redis = new Redis({ lazyConnect: true, protocol: version, replyMapping: 'legacy' })
  const stream = Object.assign(new EventEmitter(), { resume: () => {} })
  const answered: unknown[] = []
  let readHere = 0
  Object.assign(redis, {
    stream,
    condition: { protocol: version, subscriber: false },
    handleReconnection: (error: Error, { command }: { command: { reject(error: Error): void } }) =>
      command.reject(error),
    recoverFromFatalError: (error: Error) => answered.push(['fatal', error.message]),
  })
  for (const [at, { by }] of all.filter(said => said.by !== 'nobody').entries()) {
    const command = {
      name: by === 'script' ? 'evalsha' : 'get',
      isScript: by === 'script',
      args: [],
      resolve: (reply: unknown) => answered.push([at, by === 'script' ? textIn(reply) : reply]),
      reject: (error: Error) => answered.push([at, error.message]),
    }
    redis.commandQueue.push({ command } as never)
  }
  new DataHandler(redis as never, { replyMapping: 'legacy' } as never)
  const [decode] = stream.listeners('data') as [(bytes: Buffer) => void]
  const commandAt = (at: number) => redis.commandQueue.peekAt(at)?.command as { isScript?: boolean } | undefined
  const framing = new PageFraming(decode, new PageBuffers(), {
    isFor: after => isReadHere && commandAt(after)?.isScript === true,
    take: reply => {
      expect(commandAt(0)?.isScript).toBe(true)
      readHere += 1
      redis.commandQueue.shift()?.command.resolve(reply)
    },
  })
  const bytes = Buffer.concat(all.map(said => said.bytes))
  const read = Buffer.alloc(bytes.length)
  let from = 0
  for (const length of [...lengths, bytes.length]) {
    if (from >= bytes.length) break
    const count = bytes.copy(read, 0, from, from + length)
    framing.write(read.subarray(0, count))
    read.fill('!')
    from += length
  }
  return { answered, left: redis.commandQueue.length, readHere }
}

/** As a script's call takes it. */
function textIn(reply: unknown): unknown {
  if (reply instanceof Buffer) return reply.toString()
  return Array.isArray(reply) ? reply.map(textIn) : reply
}

const pageOf = (version: 2 | 3) =>
  Buffer.concat([
    Buffer.from('*2\r\n'),
    encode(['page', 1, -1, 1_700_000_000_000, 3, -1, -1]),
    encode(readGroupReply('set:{r}:log', [{ id: '1-1', jti: 'ä', set: 'a.b.c', digest: '' }], version)),
  ])

describe('a whole reply is read here', () => {
  it.for<[string, unknown]>([
    [':-12\r\n', -12],
    ['$0\r\n\r\n', ''],
    ['$6\r\nä"\r\n1\r\n', 'ä"\r\n1'],
    ['+OK\r\n', 'OK'],
    ['$-1\r\n', null],
    ['*-1\r\n', null],
    ['_\r\n', null],
    ['*0\r\n', []],
    ['*4\r\n$4\r\nsets\r\n:1\r\n*1\r\n_\r\n+a\r\n', ['sets', 1, [null], 'a']],
  ])('%j', ([text, expected]) => {
    const reader = new ScriptReplyReader()
    const bytes = Buffer.from(`${text}:1\r\n`)
    expect(reader.read(bytes, 0)).toEqual(expected)
    expect(reader.end).toBe(bytes.length - 4)
    for (let end = 1; end < bytes.length - 4; end++) expect(reader.read(bytes.subarray(0, end), 0)).toBeUndefined()
  })
})

it.for([
  '-ERR no\r\n',
  '*2\r\n:1\r\n-ERR no\r\n',
  '%0\r\n',
  '~0\r\n',
  '#t\r\n',
  ',1.5\r\n',
  '(12345678901234567890\r\n',
  '=7\r\ntxt:abc\r\n',
])('left to ioredis: %j', text => {
  expect(new ScriptReplyReader().read(Buffer.from(text), 0)).toBeUndefined()
})

it('a reply that ioredis answers before its last byte has come leaves the one behind it to whom it is for', () => {
  const all: Said[] = [
    { bytes: Buffer.from('*1\r\n:7\r\n'), by: 'script' },
    { bytes: pageOf(2), by: 'other' },
    { bytes: Buffer.from(':9\r\n'), by: 'script' },
  ]
  const here = answers(all, ['*1\r\n:7\r'.length], 2, true)
  expect(here.answered).toEqual(answers(all, ['*1\r\n:7\r'.length], 2, false).answered)
  expect(here.answered).toHaveLength(3)
})

it.for([2, 3] as const)('each call is answered as ioredis alone answers it, in version %i of the protocol', version => {
  const reply = fc.letrec<{ reply: Reply }>(tie => ({
    reply: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.array(tie('reply'), { maxLength: 4 }),
      ...(version === 3
        ? [
            fc.constant(null),
            fc.array(fc.tuple(fc.string(), tie('reply')), { maxLength: 3 }).map(pairs => new Map(pairs)),
          ]
        : []),
    ),
  })).reply
  const lines = version === 3 ? ['#t\r\n', ',1.5\r\n', '_\r\n'] : ['$-1\r\n', '*-1\r\n']
  const bytes = fc.oneof(
    { arbitrary: reply.map(encode), weight: 3 },
    fc.constantFrom('+OK\r\n', '-ERR no\r\n', '*1\r\n-ERR no\r\n', ...lines).map(text => Buffer.from(text)),
  )
  const call = fc.record<Said>({ bytes, by: fc.constantFrom('script', 'script', 'other') })
  const page = fc.constant<Said>({ bytes: pageOf(version), by: 'other' })
  const push = fc.array(reply, { maxLength: 3 }).map<Said>(parts => ({
    bytes: Buffer.concat([Buffer.from(`>${parts.length + 1}\r\n`), encode('invalidate'), ...parts.map(encode)]),
    by: 'nobody',
  }))
  const said =
    version === 3
      ? fc.oneof({ arbitrary: call, weight: 4 }, page, push)
      : fc.oneof({ arbitrary: call, weight: 4 }, page)
  let readHere = 0
  fc.assert(
    fc.property(
      fc.array(said, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }),
      (all, lengths) => {
        const here = answers(all, lengths, version, true)
        readHere += here.readHere
        expect(here.left).toBe(0)
        expect(here.answered).toEqual(answers(all, lengths, version, false).answered)
      },
    ),
    { numRuns: 500 },
  )
  expect(readHere).toBeGreaterThan(100)
})
