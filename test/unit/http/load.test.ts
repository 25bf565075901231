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

/** Long ticks, one after the other, as a process has that cannot keep up. */
async function drown(ms: number): Promise<void> {
  for (let tick = 0; tick < 4; tick++) {
    const endMs = performance.now() + ms
    while (performance.now() < endMs);
    await new Promise(resolve => setImmediate(resolve))
  }
}

it('is over the limit while the event loop lags, and not after', async () => {
  const load = open({ lagMaxMs: 50, heapMaxPercent: 0 })
  await until('a first tick', () => {
    load.sample()
    return !load.isOver
  })
  await drown(150)
  load.sample()
  expect(load.isOver).toBe(true)
  await until('an end of it', () => {
    load.sample()
    return !load.isOver
  })
})

it('is over the limit while the heap is fuller than allowed', () => {
  const load = open({ lagMaxMs: 0, heapMaxPercent: 0.001 })
  load.sample()
  expect(load.isOver).toBe(true)
})

it('has no limit of 0', async () => {
  const load = open({ lagMaxMs: 0, heapMaxPercent: 0 })
  await drown(50)
  load.sample()
  expect(load.isOver).toBe(false)
})
