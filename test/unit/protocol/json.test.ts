import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeUtf8, isDeeperThan, pointer, stableJson } from '../../../src/protocol/json.ts'
import { parseJson } from '../../../src/protocol/json-parse.ts'

it('decodes UTF-8 exactly or not at all', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), bytes => {
      const text = decodeUtf8(Buffer.from(bytes))
      if (text === undefined) {
        expect(Buffer.from(Buffer.from(bytes).toString())).not.toEqual(Buffer.from(bytes))
        return
      }
      const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
      expect(Buffer.from(text)).toEqual(Buffer.from(bytes.slice(marked ? 3 : 0)))
    }),
    { numRuns: 1000 },
  )
})

it('counts levels of arrays and objects', () => {
  expect(isDeeperThan(1, 0)).toBe(false)
  expect(isDeeperThan([], 0)).toBe(true)
  expect(isDeeperThan({ a: [{}] }, 3)).toBe(false)
  expect(isDeeperThan({ a: [{}] }, 2)).toBe(true)
})

it('points into a document as RFC 6901 does', () => {
  expect(pointer('/a', 'b~/c')).toBe('/a/b~0~1c')
  expect(pointer('', 0)).toBe('/0')
})

it('writes equal values equally, different ones differently, and JSON all the same', () => {
  const value = fc.jsonValue().map(written => parseJson(JSON.stringify(written)))
  fc.assert(
    fc.property(value, value, (a, b) => {
      expect(parseJson(stableJson(a))).toEqual(a)
      expect(stableJson(reversed(a))).toBe(stableJson(a))
      expect(stableJson(a) === stableJson(b)).toBe(isDeepStrictEqual(a, b))
    }),
  )
})

it('writes members in the order of their names as strings, integers among them', () => {
  const name = fc.oneof(fc.nat({ max: 120 }).map(String), fc.constantFrom('', 'a', 'b', '__proto__', 'é', '10a'))
  fc.assert(
    fc.property(fc.uniqueArray(name), fc.boolean(), (names, isNested) => {
      const value = parseJson(`{${names.map(name => `${JSON.stringify(name)}:1`).join(',')}}`)
      const text = `{${names
        .toSorted()
        .map(name => `${JSON.stringify(name)}:1`)
        .join(',')}}`
      expect(stableJson(isNested ? [{ x: value }] : value)).toBe(isNested ? `[{"x":${text}}]` : text)
    }),
  )
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  )
}
