import type { FastifyRequest } from 'fastify'
import { beforeEach, describe, expect, it } from 'vitest'
import { type FailureCode, TransmitterError } from '../../../src/errors.ts'
import type { Caller } from '../../../src/http/auth/caller.ts'
import { Proxies } from '../../../src/http/proxies.ts'
import { Refusals } from '../../../src/http/rate-limit.ts'

let nowMs: number
let refusals: Refusals
beforeEach(() => {
  nowMs = 1000
  refusals = new Refusals(60, new Proxies(undefined), () => nowMs)
})

const from = (remoteAddress: string, scopes?: string[]) =>
  ({ socket: { remoteAddress }, headers: {}, caller: scopes && ({ scopes } as unknown as Caller) }) as FastifyRequest
const refuse = (request: FastifyRequest, code: FailureCode = 'unauthenticated') =>
  refusals.answer(new TransmitterError(code, 'refused'), request)
const use = (request: FastifyRequest, times: number) => {
  for (let i = 0; i < times; i++) expect(refuse(request).code).toBe('unauthenticated')
}

describe('refused requests of an address', () => {
  it('are answered as they are up to the limit, and then with 429', () => {
    use(from('192.0.2.1'), 60)
    expect(refusals.isOver(from('192.0.2.1'))).toBe(true)
    expect(refuse(from('192.0.2.1'))).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 1 })
  })

  it('are counted for that address only', () => {
    use(from('192.0.2.1'), 60)
    expect(refuse(from('192.0.2.2')).code).toBe('unauthenticated')
  })

  it('are forgiven as time passes', () => {
    use(from('192.0.2.1'), 60)
    nowMs += 999
    expect(refuse(from('192.0.2.1')).code).toBe('rate_limited')
    nowMs += 1
    expect(refusals.isOver(from('192.0.2.1'))).toBe(false)
    use(from('192.0.2.1'), 1)
    expect(refuse(from('192.0.2.1')).code).toBe('rate_limited')
    nowMs += 3_600_000
    use(from('192.0.2.1'), 60)
    expect(refuse(from('192.0.2.1')).code).toBe('rate_limited')
  })

  it('are counted together for an IPv6 network of 64 bits', () => {
    use(from('2001:db8:0:1::1'), 30)
    use(from('2001:db8::1:ffff:ffff:ffff:ffff'), 30)
    expect(refuse(from('2001:db8:0:1:aaaa::')).code).toBe('rate_limited')
    expect(refuse(from('2001:db8:0:2::1')).code).toBe('unauthenticated')
  })

  it.each(['token_invalid', 'forbidden', 'not_found', 'method_not_allowed', 'insecure_transport'] as const)(
    'are also those with %s',
    code => {
      use(from('192.0.2.1'), 60)
      expect(refuse(from('192.0.2.1', ['poll']), code).code).toBe('rate_limited')
    },
  )

  it.each(['bad_request', 'store_unavailable', 'rate_limited', 'conflict'] as const)('are not those with %s', code => {
    use(from('192.0.2.1'), 60)
    expect(refuse(from('192.0.2.1'), code).code).toBe(code)
  })

  it('are not what an operator looks for and does not find', () => {
    use(from('192.0.2.1'), 60)
    expect(refuse(from('192.0.2.1', ['read']), 'not_found').code).toBe('not_found')
    expect(refuse(from('192.0.2.1', ['publish']), 'not_found').code).toBe('rate_limited')
  })

  it('are remembered for a bounded number of addresses', () => {
    for (let i = 0; i < 20_000; i++) refuse(from(`10.1.${i >> 8}.${i & 255}`))
    use(from('10.1.0.0'), 60)
    expect(refuse(from('10.1.0.0')).code).toBe('rate_limited')
  })

  it('have no limit of 0', () => {
    const none = new Refusals(0, new Proxies(undefined))
    for (let i = 0; i < 1000; i++) {
      expect(none.answer(new TransmitterError('forbidden', ''), from('192.0.2.1')).code).toBe('forbidden')
    }
    expect(none.isOver(from('192.0.2.1'))).toBe(false)
  })
})
