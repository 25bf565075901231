import { expect, it } from 'vitest'
import { LineLimit } from '../../../src/telemetry/line-limit.ts'

const SECOND = 1_700_000_000_000

it('lets a hundred lines of one message through a second, and tells later how many were left out', () => {
  const limit = new LineLimit()
  const passed = Array.from({ length: 130 }, () => limit.pass('the store is away', SECOND))
  expect(passed.filter(leftOut => leftOut === 0)).toHaveLength(100)
  expect(passed.slice(100)).toEqual(new Array(30).fill(undefined))
  expect(limit.pass('something else', SECOND)).toBe(0)
  expect(limit.pass('something else', SECOND + 5000)).toBe(0)
  expect(limit.pass('the store is away', SECOND + 10_000)).toBe(30)
  expect(limit.pass('the store is away', SECOND + 10_000)).toBe(0)
})

it('remembers no more messages than there can be of ours', () => {
  const limit = new LineLimit()
  for (let i = 0; i < 5000; i++) expect(limit.pass(`message ${i}`, SECOND)).toBe(0)
})

it('goes on when the clock is set back', () => {
  const limit = new LineLimit()
  for (let i = 0; i < 200; i++) limit.pass('a', SECOND)
  expect(limit.pass('a', SECOND - 3_600_000)).toBe(100)
})
