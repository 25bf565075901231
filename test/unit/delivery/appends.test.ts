/** Which calls share a script, and when it goes. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Appends } from '../../../src/delivery/appends.ts'
import type { AppendResult, NewSet } from '../../../src/store/set-store.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const LIMITS = { backlogMax: 1000, backlogBytesMax: 1_000_000_000, dedupeWindowMs: 60_000 }

function setsOf(name: string, count: number, bytes = 10): NewSet[] {
  return Array.from({ length: count }, (_, i) => ({
    jti: `${name}${i}`,
    set: '.'.repeat(bytes),
    digest: '',
    repeatable: true,
  }))
}

/** Scripts that are answered when they are told to. */
function opened() {
  const scripts: { receiver: string; jtis: string[]; end(): void; fail(): void }[] = []
  const woken: string[] = []
  const append = (receiver: string, sets: readonly NewSet[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<AppendResult[]>()
    scripts.push({
      receiver,
      jtis: sets.map(({ jti }) => jti),
      end: () => resolve(sets.map(({ jti }) => (jti.startsWith('known') ? 'duplicate' : 'queued'))),
      fail: () => reject(new Error('away')),
    })
    return promise
  }
  const appends = new Appends({ append }, { wakeBehindAppend: receiver => void woken.push(receiver) })
  const call = (name: string, count = 1, { receiver = 'r', bytes = 10, limits = LIMITS } = {}) =>
    appends.append(receiver, setsOf(name, count, bytes), limits)
  const sent = () => scripts.map(({ jtis }) => jtis.join(' '))
  return { scripts, sent, woken, call }
}

const turn = () => vi.advanceTimersByTimeAsync(0)

describe('appends to one receiver', () => {
  it('of one turn share a script, in order, and each call gets its own results', async () => {
    const { scripts, sent, woken, call } = opened()
    const [a, b, c] = [call('a', 2), call('known'), call('c')]
    await turn()
    expect(sent()).toEqual(['a0 a1 known0 c0'])
    expect(woken).toEqual(['r'])
    scripts[0]!.end()
    expect(await Promise.all([a, b, c])).toEqual([['queued', 'queued'], ['duplicate'], ['queued']])
  })

  it('wait for the script under way, and share the next', async () => {
    const { scripts, sent, call } = opened()
    const a = call('a')
    await turn()
    const [b, c] = [call('b'), call('c')]
    await turn()
    expect(sent()).toEqual(['a0'])
    scripts[0]!.end()
    await a
    await turn()
    expect(sent()).toEqual(['a0', 'b0 c0'])
    scripts[1]!.end()
    expect(await Promise.all([b, c])).toEqual([['queued'], ['queued']])
  })

  it('wait for none once they fill a script, by their number or by their bytes', async () => {
    const { sent, call } = opened()
    void call('a')
    await turn()
    void call('b', 60)
    await turn()
    expect(sent()).toHaveLength(1)
    void call('c', 60)
    await turn()
    // Two calls that do not fit one script: the first goes, and the rest gathers on.
    expect(sent().map(jtis => jtis.split(' ').length)).toEqual([1, 60])
    void call('d', 1, { bytes: 1_048_576 })
    await turn()
    expect(sent().map(jtis => jtis.split(' ').length)).toEqual([1, 60, 60, 1])
  })

  it('go after 10 ms though the script under way is not answered, all that wait', async () => {
    const { sent, call } = opened()
    void call('a')
    await turn()
    void call('b')
    await vi.advanceTimersByTimeAsync(5)
    void call('c')
    await vi.advanceTimersByTimeAsync(4)
    expect(sent()).toEqual(['a0'])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent()).toEqual(['a0', 'b0 c0'])
    // The next begin to wait anew.
    void call('d')
    await vi.advanceTimersByTimeAsync(9)
    expect(sent()).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(1)
    expect(sent()).toEqual(['a0', 'b0 c0', 'd0'])
  })

  it('fail with the script that they share, and those behind it go on', async () => {
    const { scripts, sent, call } = opened()
    const together = Promise.allSettled([call('a'), call('b')])
    await turn()
    const c = call('c')
    scripts[0]!.fail()
    expect((await together).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await turn()
    expect(sent()).toEqual(['a0 b0', 'c0'])
    scripts[1]!.end()
    expect(await c).toEqual(['queued'])
  })

  it('of other limits do not share one, and order is kept', async () => {
    const { scripts, sent, call } = opened()
    const less = { limits: { ...LIMITS, backlogBytesMax: 1000 } }
    const all = Promise.all([call('a'), call('b', 1, less), call('c', 1, { limits: { ...LIMITS } })])
    await turn()
    for (let i = 0; i < 3; i++) {
      scripts[i]!.end()
      await turn()
    }
    await all
    expect(sent()).toEqual(['a0', 'b0', 'c0'])
    void Promise.all([call('d'), call('e', 1, less)])
    await turn()
    expect(sent()).toHaveLength(4)
    await vi.advanceTimersByTimeAsync(10)
    expect(sent()).toHaveLength(5)
  })

  it('go together with those of other receivers, so that they leave in few writes', async () => {
    const { scripts, call } = opened()
    const ticks: number[] = []
    let tick = 0
    const count = scripts.push.bind(scripts)
    scripts.push = (...items) => {
      ticks.push(tick)
      process.nextTick(() => {
        tick += 1
      })
      return count(...items)
    }
    for (const receiver of ['one', 'two', 'three']) void call('a', 1, { receiver })
    await turn()
    expect(ticks).toEqual([0, 0, 0])
  })

  it('wait for no other receiver’s', async () => {
    const { scripts, call } = opened()
    void call('a', 1, { receiver: 'one' })
    await turn()
    void call('b', 1, { receiver: 'other' })
    await turn()
    expect(scripts.map(({ receiver }) => receiver)).toEqual(['one', 'other'])
  })
})
