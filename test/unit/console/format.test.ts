import { describe, expect, it } from 'vitest'
import { ago, duration, number, rate, reasonName, size, stateName, time } from '../../../src/console/format.js'

describe('how the console shows numbers and times', () => {
  it.each([
    [0, '0 s'],
    [0.4, '< 1 s'],
    [59.9, '59 s'],
    [119, '119 s'],
    [120, '2 min'],
    [7199, '119 min'],
    [7200, '2 h'],
    [172_800, '2 d'],
    [86_400 * 2000, '2,000 d'],
  ])('%d seconds', (seconds, text) => expect(duration(seconds)).toBe(text))

  it.each([
    [-1, '0'],
    [0, '0'],
    [0.25, '0.3'],
    [9.96, '10.0'],
    [12_345.6, '12,346'],
  ])('%d a second', (perSecond, text) => expect(rate(perSecond)).toBe(text))

  it.each([
    [512, '512 B'],
    [1536, '1.5 KiB'],
    [3 * 1_048_576, '3.0 MiB'],
  ])('%d bytes', (bytes, text) => expect(size(bytes)).toBe(text))

  it('large numbers in groups', () => expect(number(1_234_567)).toBe('1,234,567'))

  it('how long ago something was, also where clocks differ a little', () => {
    const nowMs = Date.parse('2026-01-01T00:01:00Z')
    expect(ago(undefined, nowMs)).toBe('never')
    expect(ago('2026-01-01T00:00:00Z', nowMs)).toBe('60 s ago')
    expect(ago('2026-01-01T00:01:05Z', nowMs)).toBe('now')
  })

  it('times to the second, in the time zone of whoever looks', () => {
    const date = new Date(2026, 0, 2, 3, 4, 5)
    expect(time(date.toISOString())).toBe('2026-01-02 03:04:05')
  })

  it('states and reasons in words, and those it does not know as they are', () => {
    expect(stateName('owedAgain')).toBe('owed again')
    expect(stateName('new')).toBe('new')
    expect(reasonName('attempts')).toBe('out of attempts')
    expect(reasonName('new')).toBe('new')
  })
})
