/** Who goes when, with more calls than may be under way. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Turns } from '../../../src/store/turns.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const WAIT_MS = 250

/** Calls that end when they are told to, and the names of those that began. */
function openTurns(most: number) {
  const turns = new Turns(most, WAIT_MS)
  const begun: string[] = []
  const call = (name: string, size = 1) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const answer = turns.run(size, () => {
      begun.push(name)
      return promise
    })
    return { answer, end: () => resolve(`${name} done`), fail: () => reject(new Error(`${name} failed`)) }
  }
  return { begun, call }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

describe('calls that take turns', () => {
  it('begin at once while fewer than the most are under way', () => {
    const { begun, call } = openTurns(2)
    call('a')
    call('b')
    call('c')
    expect(begun).toEqual(['a', 'b'])
  })

  it('begin in the order in which they came, one for each that ended', async () => {
    const { begun, call } = openTurns(1)
    const [a, b] = [call('a'), call('b')]
    call('c')
    a.end()
    expect(await a.answer).toBe('a done')
    expect(begun).toEqual(['a', 'b'])
    b.end()
    expect(await b.answer).toBe('b done')
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  it('begin before the caller of the one that ended goes on', async () => {
    const { begun, call } = openTurns(1)
    const a = call('a')
    call('b')
    const seen = a.answer.then(() => [...begun])
    a.end()
    expect(await seen).toEqual(['a', 'b'])
  })

  it('begin as well when the one before failed, whose error its caller gets', async () => {
    const { begun, call } = openTurns(1)
    const a = call('a')
    call('b')
    a.fail()
    await expect(a.answer).rejects.toThrow('a failed')
    expect(begun).toEqual(['a', 'b'])
  })

  it('count by their sizes: several small ones follow a large one, which waits for none of its size', async () => {
    const { begun, call } = openTurns(4)
    const first = call('small', 3)
    const large = call('large', 10)
    const rest = ['b', 'c', 'd'].map(name => call(name, 2))
    expect(begun).toEqual(['small', 'large'])
    first.end()
    await settle()
    expect(begun).toEqual(['small', 'large'])
    large.end()
    await settle()
    expect(begun).toEqual(['small', 'large', 'b', 'c'])
    for (const { end } of rest) end()
    await settle()
    expect(begun).toEqual(['small', 'large', 'b', 'c', 'd'])
  })

  it('begin after the longest wait though none ended', async () => {
    const { begun, call } = openTurns(1)
    call('a')
    call('b')
    await vi.advanceTimersByTimeAsync(WAIT_MS - 1)
    expect(begun).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(begun).toEqual(['a', 'b'])
  })

  it('are no more than the most again once those that went beyond it have ended', async () => {
    const { begun, call } = openTurns(1)
    const [a, b] = [call('a'), call('b')]
    await vi.advanceTimersByTimeAsync(WAIT_MS)
    call('c')
    a.end()
    await settle()
    expect(begun).toEqual(['a', 'b'])
    b.end()
    await settle()
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  it('leave no timer behind', async () => {
    const { call } = openTurns(1)
    const [a, b] = [call('a'), call('b')]
    a.end()
    await settle()
    b.end()
    await Promise.all([a.answer, b.answer])
    expect(vi.getTimerCount()).toBe(0)
  })
})
