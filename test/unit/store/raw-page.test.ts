/** The SETs of a page that is in memory as Redis sent it, and the poll response made of it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renderPage, renderPollResponse } from '../../../src/protocol/poll.ts'
import { RawPage } from '../../../src/store/raw-page.ts'
import { encode, type LogEntry, readGroupReply } from '../../support/resp.ts'

const entry = fc.record<LogEntry>({
  id: fc.nat({ max: 2 ** 31 }).map(seq => `1700000000000-${seq}`),
  jti: fc.oneof(fc.uuid(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii', maxLength: 255 })),
  set: fc.stringMatching(/^[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{0,900}\.[A-Za-z0-9_-]{0,90}$/),
  digest: fc.string({ unit: 'grapheme-ascii' }),
})
const version = fc.constantFrom(2 as const, 3 as const)

function rawPage(entries: readonly LogEntry[], of: 2 | 3): RawPage {
  const page = RawPage.of(encode(readGroupReply('set:{a-receiver}:log', entries, of)))
  if (page === undefined) throw new Error('there is a page')
  return page
}

it('gives what stands in the log, before and after it was rendered, and renders it as any page', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 20 }),
      version,
      fc.boolean(),
      (entries, of, moreAvailable) => {
        const page = rawPage(entries, of)
        const sets = entries.map(({ jti, set }) => ({ jti, set, attempt: 1 }))
        expect(page).toMatchObject({ count: entries.length, oldestMs: 1_700_000_000_000 })
        expect(page.list()).toEqual(sets)
        const rendered = renderPage({ sets, bytes: page, moreAvailable })
        expect(rendered.toString()).toBe(renderPollResponse(sets, moreAvailable))
        expect(page.list()).toEqual(sets)
      },
    ),
    { numRuns: 1000 },
  )
})

describe('an answer without SETs', () => {
  it.for(['_', '*-1', '$-1'])('is no page: %s', text => {
    expect(RawPage.of(Buffer.from(text))).toBeUndefined()
  })

  it('that is an error is thrown, in the words of Redis', () => {
    expect(() => RawPage.of(Buffer.from('-NOGROUP No such key'))).toThrow(/^NOGROUP No such key$/)
  })
})

it.for([
  ['fewer words', ['set', 'a.b.c']],
  ['another word behind the jti', ['jti', 'a', 'token', 'a.b.c', 'digest', 'd']],
  ['a shorter word behind the SET', ['jti', 'a', 'set', 'a.b.c', 'd', 'd']],
] as const)('refuses an entry that append.lua did not write: %s', ([, fields]) => {
  const foreign = encode(new Map([['log', [['1700000000000-1', [...fields]]]]]))
  expect(() => RawPage.of(foreign)).toThrow('not one of ours')
})

it('refuses a page that ends too early', () => {
  const page = encode(readGroupReply('log', [{ id: '1700000000000-1', jti: 'a', set: 'b', digest: 'c' }], 2))
  for (let length = 10; length < page.length - 4; length++) {
    expect(() => RawPage.of(page.subarray(0, length)), String(length)).toThrow('not one of ours')
  }
})
