import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  boundSetError,
  DESCRIPTION_LENGTH_MAX,
  ERR_LENGTH_MAX,
  errLabel,
  truncate,
} from '../../../src/protocol/set-error.ts'

it.each([
  'invalid_request',
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'authentication_failed',
  'access_denied',
  'invalid_state',
])('labels the registered code %s by its name', err => {
  expect(errLabel(err)).toBe(err)
})

it('labels everything else as other, so that a receiver cannot make up series (P-107)', () => {
  for (const err of ['vendor_thing', 'INVALID_KEY', '__proto__', 'toString', '']) expect(errLabel(err)).toBe('other')
})

it('keeps a report of ordinary length as it is', () => {
  expect(boundSetError({ err: 'invalid_key', description: 'x' })).toEqual({ err: 'invalid_key', description: 'x' })
  expect(boundSetError({ err: 'invalid_key' })).toEqual({ err: 'invalid_key' })
})

it('bounds both texts of a report (P-110)', () => {
  const bounded = boundSetError({ err: 'e'.repeat(1e5), description: 'd'.repeat(1e5) })
  expect(bounded.err).toHaveLength(ERR_LENGTH_MAX)
  expect(bounded.description).toHaveLength(DESCRIPTION_LENGTH_MAX)
})

it('never cuts a surrogate pair in half, and cuts no more than it must', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat({ max: 20 }), (text, lengthMax) => {
      const cut = truncate(text, lengthMax)
      expect(cut.isWellFormed()).toBe(true)
      expect(text.startsWith(cut)).toBe(true)
      expect(cut.length).toBeLessThanOrEqual(lengthMax)
      expect(cut.length).toBeGreaterThanOrEqual(Math.min(text.length, lengthMax - 1))
    }),
  )
})
