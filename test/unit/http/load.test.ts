import { afterEach, expect, it } from 'vitest'
import { Load, type LoadLimits } from '../../../src/http/load.ts'
import { until } from '../../support/until.ts'

const loads: Load[] = []
const open = (limits: LoadLimits) => {
  const load = new Load(limits)
  loads.push(load)
  return load
}
afterEach(() => {
  for (const load of loads.splice(0)) load.stop()
})

/** A long tick, as a process has that cannot keep up. */
async function drown(): Promise<void> {
  const endMs = performance.now() + 150
  while (performance.now() < endMs);
  await new Promise(resolve => setImmediate(resolve))
}

it('is over the limit while the event loop lags, and not after', async () => {
  const load = open({ lagMaxMs: 50, heapMaxPercent: 0 })
  expect(load.isOver).toBe(false)
  await until('the lag to be noticed', async () => {
    await drown()
    return load.isOver
  })
  await until('the end of it', () => !load.isOver)
})

it('is over the limit while the heap is fuller than allowed', async () => {
  const load = open({ lagMaxMs: 0, heapMaxPercent: 0.001 })
  await until('the heap to be noticed', () => load.isOver)
})

it('has no limit of 0', async () => {
  const load = open({ lagMaxMs: 0, heapMaxPercent: 0 })
  const endMs = performance.now() + 700
  while (performance.now() < endMs) await drown()
  expect(load.isOver).toBe(false)
})
