import { describe, expect, it } from 'vitest'
import { parseRoute, toReceiver, toSet } from '../../../src/console/route.js'

describe('addresses within the console', () => {
  it('begin with the receivers, also when they make no sense', () => {
    for (const hash of ['', '#', '#/', '#/receivers', '#/receivers/', '#/%E0%A4%A', '#/elsewhere']) {
      expect(parseRoute(hash)).toEqual({ view: 'receivers' })
    }
  })

  it('name a receiver, a part of its page and a state', () => {
    expect(parseRoute(toReceiver('billing'))).toEqual({ view: 'receiver', id: 'billing', tab: 'sets', state: 'queued' })
    expect(parseRoute(`${toReceiver('billing', 'sets')}?state=parked`)).toMatchObject({ tab: 'sets', state: 'parked' })
    expect(parseRoute(toReceiver('billing', 'errors'))).toMatchObject({ tab: 'errors' })
    expect(parseRoute(toReceiver('billing', 'nothing'))).toMatchObject({ tab: 'sets' })
  })

  it('name a SET, whatever is in its jti', () => {
    for (const jti of ['plain', 'a/b?c#d', '<script>', '100 %', 'ü+&=']) {
      expect(parseRoute(toSet('billing', jti))).toEqual({ view: 'lookup', receiver: 'billing', jti })
    }
  })
})
