import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseJson } from '../../../src/protocol/json-parse.ts'

it('reads a name as it is written, whatever names others have sent before', () => {
  for (const earlier of ['\\', 'a\\', '\\u0']) {
    for (const name of ['"', '\n', 'a"', '\u0000', '\u0061b"']) {
      const first = `p${earlier.length}${name.length}`
      // An attacker's text, parsed by anything in this process.
      JSON.parse(`{"${first}":1,${JSON.stringify(earlier)}:2}`)
      const read = parseJson(`{"${first}":1,${JSON.stringify(name)}:{"deep":[{${JSON.stringify(name)}:3}]}}`)
      expect(read).toEqual({ [first]: 1, [name]: { deep: [{ [name]: 3 }] } })
    }
  }
})

it('keeps what JSON.parse does: last of duplicates, __proto__ as a member, integers first, spaces anywhere', () => {
  const read = parseJson(' { "\\u0061" : 1 ,\n"a":2, "__proto__" : {"\\"" :3}, "7":"\\\\\\":" , "":[ ] }\t') as object
  expect(Object.entries(read)).toEqual([
    ['7', '\\":'],
    ['a', 2],
    ['__proto__', { '"': 3 }],
    ['', []],
  ])
  expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
})

it('keeps unpaired surrogates for the caller to refuse', () => {
  expect(Object.keys(parseJson('{"\\ud800":1,"\\"":2}') as object)).toEqual(['\ud800', '"'])
})

it('throws a SyntaxError for what is not JSON', () => {
  for (const text of ['', '{"\\"":}', '{"\\":1}', '"\\"', '{"a":1}\\'])
    expect(() => parseJson(text)).toThrow(SyntaxError)
})

it('takes deep and large texts with escapes in bounded time', () => {
  const startedMs = performance.now()
  parseJson(`{"\\"":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
  parseJson(`[${'{"\\"":1},'.repeat(100_000)}0]`)
  parseJson(`"${'\\u0061'.repeat(170_000)}"`)
  expect(performance.now() - startedMs).toBeLessThan(3000)
})

it('agrees with what was written, for any names', () => {
  const awkward = fc.array(fc.constantFrom('\\', '"', 'a', 'n', '\n', '/', '\u0000', 'é', '🔐'), { maxLength: 3 })
  const name = fc.oneof(
    awkward.map(list => list.join('')),
    fc.string({ unit: 'binary' }),
  )
  const members = fc.uniqueArray(fc.tuple(name, fc.nat()), { selector: ([member]) => member, maxLength: 6 })
  fc.assert(
    fc.property(members, list => {
      const text = `{${list.map(([member, value]) => `${JSON.stringify(member)}:${value}`).join(',')}}`
      expect(new Map(Object.entries(parseJson(text) as object))).toEqual(new Map(list))
    }),
    { numRuns: 2000 },
  )
})
