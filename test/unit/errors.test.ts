import { expect, it } from 'vitest'
import { type FailureCode, TransmitterError } from '../../src/errors.ts'

it.each<FailureCode>(['unauthenticated', 'token_invalid', 'not_found', 'rate_limited', 'overloaded'])(
  '%s costs no trace of the stack, and takes it from no other error',
  code => {
    expect(new TransmitterError(code, 'Why.').stack).toBe('TransmitterError: Why.')
    expect(new Error('another').stack).toContain(import.meta.filename)
  },
)

it.each<FailureCode>(['internal', 'store_unavailable', 'bad_request'])('%s tells where it was made', code => {
  expect(new TransmitterError(code, 'Why.').stack).toContain(import.meta.filename)
})
