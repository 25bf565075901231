/** Values for property tests: more of what goes wrong in practice than chance alone would give. */
import fc from 'fast-check'

/** Well-formed strings, many of them hostile as names. */
export const jti: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '0', '10', '-0', '', '"', '\\', '\u2028', '{a}:j', '*', '🔐'),
)

/** Strings that may hold unpaired surrogates. */
export const anyString: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.integer({ min: 0xd800, max: 0xdfff }), fc.integer({ min: 0, max: 0xffff })), { maxLength: 8 })
  .map(units => String.fromCharCode(...units))

/** JSON text of an object whose member names may repeat. */
export function objectText(members: fc.Arbitrary<[name: string, valueText: string]>): fc.Arbitrary<string> {
  return fc
    .array(members, { maxLength: 8 })
    .map(list => `{${list.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`)
}

export const jsonText: fc.Arbitrary<string> = fc.oneof(
  fc.json({ stringUnit: 'binary', maxDepth: 4 }),
  fc.constantFrom('1e400', '-0', '2.0', '"\\ud800"', '"\\u0000"', '[[[[]]]]', '{"":{}}', '1E5', '0.1', 'null', 'true'),
)
