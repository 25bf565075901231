import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { atLeastOne, durationMs, each, jsonObject, moment, setting } from '../../../src/cli/values.ts'

describe('values of options', () => {
  it('are durations with a unit', () => {
    expect(['500ms', '30s', '15m', '12h', '7d'].map(durationMs)).toEqual([
      500, 30_000, 900_000, 43_200_000, 604_800_000,
    ])
    for (const wrong of ['', '30', 's', '1.5h', '-1s', '1 s', '1w']) {
      expect(() => durationMs(wrong)).toThrow(InvalidArgumentError)
    }
  })

  it('are moments, or how long ago', () => {
    expect(moment('2h', 10_000_000)).toBe(2_800_000)
    expect(moment('2026-01-31T12:00:00Z')).toBe(Date.UTC(2026, 0, 31, 12))
    for (const wrong of ['', 'now', '1', 'yesterday', '2026-13-01']) {
      expect(() => moment(wrong)).toThrow(InvalidArgumentError)
    }
  })

  it('are settings, one after another, numbers where they look like it', () => {
    const both = setting('signingAlg=RS256', setting('pageMax=10', undefined))
    expect(both).toEqual({ pageMax: 10, signingAlg: 'RS256' })
    expect(setting('a=b=c', undefined)).toEqual({ a: 'b=c' })
    for (const wrong of ['', 'a', '=1']) expect(() => setting(wrong, undefined)).toThrow(InvalidArgumentError)
  })

  it('are JSON objects, whole numbers and lists', () => {
    expect(jsonObject('{"a":1}')).toEqual({ a: 1 })
    for (const wrong of ['', '[]', 'null', '1', '{']) expect(() => jsonObject(wrong)).toThrow(InvalidArgumentError)
    expect(atLeastOne('12')).toBe(12)
    for (const wrong of ['0', '-1', '1.5', 'x', '']) expect(() => atLeastOne(wrong)).toThrow(InvalidArgumentError)
    expect(each('b', each('a', undefined))).toEqual(['a', 'b'])
  })
})
