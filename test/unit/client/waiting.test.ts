import { describe, expect, it } from 'vitest'
import { backoffMs, pause, settledWithin } from '../../../src/client/backoff.ts'

const backoff = { baseMs: 100, capMs: 1_000 }

describe('the pause between attempts', () => {
  it('doubles up to its cap, and is spread over the upper half of each step', () => {
    for (const [attempt, step] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
      expect(backoffMs(attempt + 1, backoff, () => 0)).toBe(step / 2)
      expect(backoffMs(attempt + 1, backoff, () => 1)).toBe(step)
    }
  })

  it('stays at its cap after any number of attempts', () => {
    expect(backoffMs(100_000, backoff, () => 1)).toBe(1_000)
  })

  it('ends when the signal aborts, before and while it waits', async () => {
    await pause(60_000, AbortSignal.abort())
    const controller = new AbortController()
    const pausing = pause(60_000, controller.signal)
    controller.abort()
    await pausing
  })
})

describe('waiting for a bounded time', () => {
  const never = new Promise<never>(() => {})

  it('tells whether it was in time', async () => {
    expect(await settledWithin(Promise.resolve(1), 60_000)).toBe(true)
    expect(await settledWithin(never, 1)).toBe(false)
    expect(await settledWithin(never, 60_000, AbortSignal.abort())).toBe(false)
  })

  it('rejects as the promise does', async () => {
    await expect(settledWithin(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no')
  })
})
