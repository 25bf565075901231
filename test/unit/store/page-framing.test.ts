/** Where a page begins and ends in the stream of replies, however the stream is cut. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageBuffers } from '../../../src/store/page-buffers.ts'
import { PageFraming } from '../../../src/store/page-framing.ts'
import { encode, type Reply, readGroupReply } from '../../support/resp.ts'

/** What reaches the parser when the bytes come in pieces of these lengths, and then the rest. */
function framed(bytes: Buffer, lengths: readonly number[]): Buffer {
  const seen: Buffer[] = []
  const framing = new PageFraming(piece => seen.push(piece), new PageBuffers(), { isFor: () => false, take: () => {} })
  // All reads are into one buffer.
  const read = Buffer.alloc(bytes.length)
  let at = 0
  for (const length of [...lengths, bytes.length]) {
    if (at >= bytes.length) break
    const count = bytes.copy(read, 0, at, at + length)
    framing.write(read.subarray(0, count))
    read.fill('!')
    at += length
  }
  return Buffer.concat(seen)
}

const script = (word: string): Reply => [word, 1, -1, 1_700_000_000_000, 3, -1, -1]
const entries = [
  { id: '1700000000000-4194304', jti: 'ä"1', set: 'a.b.c', digest: 'd' },
  { id: '1700000000001-4194305', jti: '', set: 'x'.repeat(300), digest: '' },
]
const pageOf = (version: 2 | 3) => readGroupReply('set:{r}:log', entries, version)
const asString = (page: Buffer) => Buffer.concat([Buffer.from(`$${page.length - 2}\r\n`), page])

describe('a page behind its script', () => {
  it.for([2, 3] as const)('becomes one string, in version %i of the protocol', version => {
    const [head, page] = [encode(script('page')), encode(pageOf(version))]
    const bytes = Buffer.concat([Buffer.from('*2\r\n'), head, page])
    expect(framed(bytes, []).toString()).toBe(`*2\r\n${head}${asString(page)}`)
  })

  it.for([
    ['_\r\n', 'null of version 3'],
    ['*-1\r\n', 'null of version 2'],
    ['-NOGROUP No such key\r\n', 'an error'],
  ] as const)('may be %s: %s', ([answer]) => {
    const bytes = Buffer.concat([Buffer.from('*2\r\n'), encode(script('page')), Buffer.from(answer)])
    expect(framed(bytes, []).toString()).toBe(`*2\r\n${encode(script('page'))}${asString(Buffer.from(answer))}`)
  })

  it('is left as it is behind another word', () => {
    const bytes = encode([script('ok'), pageOf(3)])
    expect(framed(bytes, [])).toEqual(bytes)
  })
})

it('changes nothing but pages, wherever the stream is cut', () => {
  const reply = fc.letrec<{ reply: Reply }>(tie => ({
    reply: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.constant(null),
      fc.array(tie('reply'), { maxLength: 4 }),
      fc.array(fc.tuple(fc.string(), tie('reply')), { maxLength: 3 }).map(pairs => new Map(pairs)),
    ),
  })).reply
  const line = fc.constantFrom('+OK\r\n', '-ERR no\r\n', '*-1\r\n', '$-1\r\n', '#t\r\n', ',1.5\r\n').map(text => {
    const bytes = Buffer.from(text)
    return { bytes, expected: bytes }
  })
  const other = reply.map(value => ({ bytes: encode(value), expected: encode(value) }))
  const page = fc.constantFrom(2 as const, 3 as const).map(version => {
    const [head, read] = [Buffer.concat([Buffer.from('*2\r\n'), encode(script('page'))]), encode(pageOf(version))]
    return { bytes: Buffer.concat([head, read]), expected: Buffer.concat([head, asString(read)]) }
  })
  fc.assert(
    fc.property(
      fc.array(fc.oneof(line, other, page), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 200 }),
      (replies, lengths) => {
        const bytes = Buffer.concat(replies.map(each => each.bytes))
        const expected = Buffer.concat(replies.map(each => each.expected))
        expect(framed(bytes, lengths)).toEqual(expected)
      },
    ),
    { numRuns: 1000 },
  )
})
