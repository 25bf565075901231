import { generateKeyPairSync, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { derToRaw } from '../../../src/signing/ecdsa.ts'

/** DER of the two integers, by the rules: nothing in front that could be left out, and never a negative number. */
function der(...integers: readonly Buffer[]): Buffer {
  const parts = integers.map(bytes => {
    let first = bytes.findIndex(byte => byte !== 0)
    if (first < 0) first = bytes.length - 1
    const digits = bytes.subarray(first)
    const content = digits[0]! >= 128 ? Buffer.concat([Buffer.from([0]), digits]) : digits
    return Buffer.concat([Buffer.from([2, content.length]), content])
  })
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([0x30, body.length]), body])
}

const part = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.constantFrom(0, 0, 0, 1, 2, 31))
  .map(([bytes, zeros]) => Buffer.concat([Buffer.alloc(zeros), Buffer.from(bytes).subarray(zeros)]))

describe('an ECDSA signature in DER', () => {
  it('becomes r and s side by side, whatever they begin with', () => {
    fc.assert(
      fc.property(part, part, (r, s) => {
        expect(derToRaw(der(r, s), 32)).toEqual(Buffer.concat([r, s]))
      }),
      { numRuns: 2000 },
    )
  })

  it('is what Node verifies in the JOSE form', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const lengths = new Set<number>()
    for (let i = 0; i < 500; i++) {
      const data = Buffer.from(`data ${i}`)
      const signature = sign('sha256', data, privateKey)
      lengths.add(signature.length)
      const raw = derToRaw(signature, 32)
      expect(verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true)
    }
    expect(lengths.size).toBeGreaterThan(1) // Otherwise the lengths would not have mattered.
  })

  it.for([
    ['', 'nothing'],
    ['3006020101', 'cut off'],
    ['30060201010201', 'cut off within an integer'],
    ['300602010103010100', 'of another type'],
    ['30080201010201010500', 'with more behind it'],
    [`3026020101022200${'ff'.repeat(33)}`, 'with an integer that is too long'],
    ['300402000200', 'of empty integers'],
  ])('is refused when it is %s: %s', ([hex]) => {
    expect(() => derToRaw(Buffer.from(hex!, 'hex'), 32)).toThrow(RangeError)
  })
})
