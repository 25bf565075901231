import { expect, it } from 'vitest'
import { KnownTokens } from '../../../src/store/known-tokens.ts'
import { sha256Of } from '../../../src/store/token-store.ts'
import { until } from '../../support/until.ts'

/** As Redis answers: in order, a page at a time. */
function stored(hashes: string[]) {
  const sorted = [...hashes].sort()
  const asked: (string | undefined)[] = []
  return {
    asked,
    hashes: async (count: number, after?: string) => {
      asked.push(after)
      return sorted.filter(hash => after === undefined || hash > after).slice(0, count)
    },
  }
}

const tokens = Array.from({ length: 2500 }, (_, i) => sha256Of(`token ${i}`))

it('knows every token once they are read, page by page, and asks no more', async () => {
  const store = stored(tokens)
  const known = new KnownTokens(store)
  const stranger = sha256Of('made up')
  expect(known.mayHave(stranger)).toBe(true)
  await until('the read', () => !known.mayHave(stranger))
  expect(tokens.every(sha256 => known.mayHave(sha256))).toBe(true)
  expect(store.asked.length).toBe(3)
})

it('knows what it is told of, also while it reads', async () => {
  const known = new KnownTokens(stored(tokens))
  const made = sha256Of('made while reading')
  known.mayHave(made)
  known.add(made)
  await until('the read', () => !known.mayHave(sha256Of('made up')))
  expect(known.mayHave(made)).toBe(true)
})

it('reads again after it was told to forget, and after a failed read', async () => {
  let isAway = true
  const store = stored(tokens)
  const known = new KnownTokens({
    hashes: (count, after) => (isAway ? Promise.reject(new Error('away')) : store.hashes(count, after)),
  })
  expect(known.mayHave(sha256Of('made up'))).toBe(true)
  await new Promise(resolve => setImmediate(resolve))
  expect(known.mayHave(sha256Of('made up'))).toBe(true)
  isAway = false
  await until('the read', () => !known.mayHave(sha256Of('made up')))
  known.forget()
  expect(known.mayHave(sha256Of('made up'))).toBe(true)
})
