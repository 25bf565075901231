/** Rests between the steps of long work: for how long, and what ends them. */
import { expect, it } from 'vitest'
import { Pace } from '../../../src/delivery/pace.ts'

const { signal } = new AbortController()

async function took(work: Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now()
  await work
  return performance.now() - startedAtMs
}

it('a rest is so many times as long as the step before it', async () => {
  const pace = new Pace(3, 60_000, signal)
  expect(await took(pace.rest(20))).toBeGreaterThanOrEqual(58)
  expect(pace.isOver).toBe(false)
})

it('a rest ends with the time for rests, and after that there is none', async () => {
  const pace = new Pace(3, 50, signal)
  expect(await took(pace.rest(20_000))).toBeLessThan(10_000)
  await expect.poll(() => pace.isOver).toBe(true) // Timers may come a little early.
  expect(await took(pace.rest(20_000))).toBeLessThan(10_000)
})

it('a rest ends at once when it is called off, and so do those behind it', async () => {
  const calling = new AbortController()
  const pace = new Pace(3, 600_000, calling.signal)
  const resting = pace.rest(100_000)
  calling.abort()
  expect(await took(resting)).toBeLessThan(10_000)
  expect(pace.isOver).toBe(true)
  expect(await took(pace.rest(100_000))).toBeLessThan(10_000)
})
