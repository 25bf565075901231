import { describe, expect, it } from 'vitest'
import { depthOf, History, rateOf } from '../../../src/console/history.js'

const at = (seconds: number, published: number) => ({
  atMs: seconds * 1000,
  queued: 1,
  inFlight: 2,
  owedAgain: 3,
  parked: 4,
  published,
  delivered: 0,
  acked: 0,
})

describe('what the console remembers', () => {
  it('tells the rate of the last seconds only', () => {
    const samples = [at(0, 0), at(100, 1000), at(110, 1050)]
    expect(rateOf(samples, 'published')).toBe(5)
  })

  it('tells no rate from one look', () => {
    expect(rateOf([], 'published')).toBeUndefined()
    expect(rateOf([at(0, 5)], 'published')).toBeUndefined()
  })

  it('tells the rate between two looks that were further apart', () => {
    expect(rateOf([at(0, 5), at(100, 55)], 'published')).toBe(0.5)
  })

  it('tells no negative rate when a receiver was deleted with its totals', () => {
    expect(rateOf([at(0, 100), at(2, 10)], 'published')).toBe(0)
  })

  it('counts as depth what is to be acknowledged, and not what was given up', () => {
    expect(depthOf(at(0, 0))).toBe(6)
  })

  it('keeps a bounded number of samples of each receiver', () => {
    const history = new History()
    for (let i = 0; i < 2000; i++) history.add('a', at(i, i))
    expect(history.of('a').length).toBeLessThan(1000)
    expect(history.of('a').at(-1)).toEqual(at(1999, 1999))
    expect(history.of('b')).toEqual([])
  })

  it('remembers many receivers for a shorter time, but enough for a rate', () => {
    const history = new History()
    for (let i = 0; i < 50; i++) history.add('a', at(i, i), 10_000)
    expect(history.of('a')).toHaveLength(20)
    for (let i = 0; i < 50; i++) history.add('b', at(i, i), 1_000_000)
    expect(history.of('b')).toHaveLength(2)
  })
})
