/** Where a page begins and ends in the stream of replies, however the stream is cut. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageBuffers } from '../../../src/store/page-buffers.ts'
import { PageFraming, type ScriptReplies } from '../../../src/store/page-framing.ts'
import { encode, type Reply, readGroupReply } from '../../support/resp.ts'

const NO_SCRIPTS: ReturnType<typeof scriptsAmong> = {
  replies: { isFor: () => false, take: () => {} },
  passed: () => {},
}

/** What reaches the parser when the bytes come in pieces of these lengths, and then the rest. */
function framed(bytes: Buffer, lengths: readonly number[], { replies, passed } = NO_SCRIPTS): Buffer {
  const seen: Buffer[] = []
  const see = (piece: Buffer) => {
    seen.push(piece)
    passed(piece.length)
  }
  const take = (reply: unknown) => {
    replies.take(reply)
    see(encode(reply as Reply))
  }
  const framing = new PageFraming(see, new PageBuffers(), { ...replies, take })
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

interface Said {
  readonly bytes: Buffer
  readonly expected: Buffer
  /** Answers nobody. */
  readonly isPush?: boolean
  readonly isScript?: boolean
}

/** As a client library counts what it has answered: by the bytes that reached it, its own or those of scripts. */
function scriptsAmong(all: readonly Said[], onTaken: () => void) {
  let bytes = 0
  const answered = () => {
    let end = 0
    return all.filter(({ expected, isPush }) => {
      end += expected.length
      return end <= bytes && !isPush
    }).length
  }
  const calls = all.filter(({ isPush }) => !isPush)
  const replies: ScriptReplies = { isFor: behind => calls[answered() + behind]?.isScript === true, take: onTaken }
  return {
    replies,
    passed: (count: number) => {
      bytes += count
    },
  }
}

describe('a reply of a script', () => {
  const call = (bytes: Buffer): Said => ({ bytes, expected: bytes, isScript: true })

  it.for<[string, Reply]>([
    ['a number', -12],
    ['text', 'ä"\r\n'],
    ['nothing', null],
    ['a list', ['sets', 1, -1, ['', []], null, 'ä']],
  ])('is read at once: %s', ([, reply]) => {
    const taken: unknown[] = []
    const framing = new PageFraming(() => expect.unreachable(), new PageBuffers(), {
      isFor: () => true,
      take: each => taken.push(each),
    })
    framing.write(encode(reply))
    framing.write(encode([reply, reply]))
    expect(taken).toEqual([reply, [reply, reply]])
  })

  it.for(['-ERR no\r\n', '*1\r\n-ERR no\r\n', '%0\r\n'])('is left to the parser: %s', text => {
    const bytes = Buffer.from(text)
    expect(
      framed(
        bytes,
        [],
        scriptsAmong([call(bytes)], () => expect.unreachable()),
      ),
    ).toEqual(bytes)
  })

  it('that comes in pieces is left to the parser, and the next is not', () => {
    const [first, second] = [encode(['sets', 1]), encode(['ok'])]
    let taken = 0
    const scripts = scriptsAmong([call(first), call(second)], () => {
      taken += 1
    })
    expect(framed(Buffer.concat([first, second]), [5], scripts)).toEqual(Buffer.concat([first, second]))
    expect(taken).toBe(1)
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
  const other = fc
    .tuple(reply, fc.boolean())
    .map(([value, isScript]) => ({ bytes: encode(value), expected: encode(value), isScript }))
  const push = fc.array(reply, { maxLength: 3 }).map(parts => {
    const bytes = Buffer.concat([Buffer.from(`>${parts.length}\r\n`), ...parts.map(encode)])
    return { bytes, expected: bytes, isPush: true }
  })
  const page = fc.constantFrom(2 as const, 3 as const).map(version => {
    const [head, read] = [Buffer.concat([Buffer.from('*2\r\n'), encode(script('page'))]), encode(pageOf(version))]
    return { bytes: Buffer.concat([head, read]), expected: Buffer.concat([head, asString(read)]) }
  })
  fc.assert(
    fc.property(
      fc.array(fc.oneof<fc.MaybeWeightedArbitrary<Said>[]>(line, { arbitrary: other, weight: 3 }, page, push), {
        maxLength: 8,
      }),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 200 }),
      (replies, lengths) => {
        const bytes = Buffer.concat(replies.map(each => each.bytes))
        const expected = Buffer.concat(replies.map(each => each.expected))
        const scripts = scriptsAmong(replies, () => {})
        expect(framed(bytes, lengths, scripts)).toEqual(expected)
      },
    ),
    { numRuns: 1000 },
  )
})
