/** Memory of pages: used again once it was given back, and not a moment before. */
import { expect, it } from 'vitest'
import { PageBuffers } from '../../../src/store/page-buffers.ts'
import { PageFraming } from '../../../src/store/page-framing.ts'
import { RawPage } from '../../../src/store/raw-page.ts'
import { encode, type Reply, readGroupReply } from '../../support/resp.ts'

const script: Reply = ['page', 1, -1, 1_700_000_000_000, 0, -1, -1]

function opened() {
  const buffers = new PageBuffers()
  const pieces: Buffer[] = []
  const framing = new PageFraming(piece => pieces.push(piece), buffers, { isFor: () => false, take: () => {} })
  /** A page as it comes from Redis, of SETs of so many bytes. */
  const page = (jtis: readonly string[], setBytes = 10): RawPage => {
    const entries = jtis.map((jti, i) => ({ id: `1700000000000-${i}`, jti, set: jti[0]!.repeat(setBytes), digest: '' }))
    framing.write(
      Buffer.concat([Buffer.from('*2\r\n'), encode(script), encode(readGroupReply('set:{r}:log', entries, 2))]),
    )
    const bytes = pieces.pop() as Buffer
    return RawPage.of(bytes.subarray(bytes.indexOf('\n') + 1, -2), buffers) as RawPage
  }
  return { page, memoryOf: ({ bytes }: RawPage) => bytes.buffer }
}

it('one page keeps what it holds while others come', () => {
  const { page } = opened()
  const first = page(['a1', 'a2'])
  const second = page(['b1'])
  expect(first.list().map(({ set }) => set)).toEqual(['a'.repeat(10), 'a'.repeat(10)])
  expect(second.list().map(({ jti }) => jti)).toEqual(['b1'])
})

it('one that was released lends its memory to the next, and to one only', () => {
  const { page, memoryOf } = opened()
  const first = page(['a1'])
  first.release()
  const [second, third] = [page(['b1']), page(['c1'])]
  expect(memoryOf(second)).toBe(memoryOf(first))
  expect(memoryOf(third)).not.toBe(memoryOf(first))
  expect([second.list()[0]?.jti, third.list()[0]?.jti]).toEqual(['b1', 'c1'])
})

it('one that is longer than others is whole, and its memory is not kept', () => {
  const { page, memoryOf } = opened()
  const jtis = Array.from({ length: 300 }, (_, i) => `a${i}`)
  const long = page(jtis, 2000)
  expect(long.list().map(({ jti }) => jti)).toEqual(jtis)
  expect(long.list().every(({ set }) => set === 'a'.repeat(2000))).toBe(true)
  long.release()
  const short = page(['b1'])
  expect(memoryOf(short)).not.toBe(memoryOf(long))
  expect(memoryOf(short).byteLength).toBeLessThan(memoryOf(long).byteLength)
})
