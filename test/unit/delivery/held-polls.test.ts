/** What a held poll is told when the store fails between a notification and the script that looks for SETs. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HeldPolls } from '../../../src/delivery/held-polls.ts'
import { Presence } from '../../../src/delivery/presence.ts'
import { TransmitterError } from '../../../src/errors.ts'
import type { Arrivals } from '../../../src/store/arrivals.ts'
import type { Page } from '../../../src/store/page.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** The subscription stands all the time. */
const arrivals = {
  hold: async () => {},
  release: () => {},
  mark: () => 1,
  isListening: () => true,
} as unknown as Arrivals

const WAIT_MS = 30_000
const away = () => new TransmitterError('store_unavailable', 'The store cannot be reached.')
const pageOf = (count: number) => ({ count, moreAvailable: false, sets: [] }) as unknown as Page

function openHeldPolls() {
  const heldPolls = new HeldPolls({ perReceiverMax: 10, totalMax: 100 })
  const hold = (take: () => Promise<Page>) => {
    const poll = { receiver: 'r', waitMs: WAIT_MS, presence: new Presence(), take, giveBack: () => {} }
    return heldPolls.hold(arrivals, poll, 1).catch((error: unknown) => error)
  }
  return { heldPolls, hold }
}

describe('a poll held behind one whose wake failed', () => {
  it('is looked at a little later, since a notification may have come during the failure', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const failing = Promise.withResolvers<Page>()
    const older = hold(() => failing.promise)
    const page = pageOf(1)
    const younger = hold(async () => page)
    heldPolls.wake('r')
    heldPolls.wake('r')
    failing.reject(away())
    expect(await older).toMatchObject({ code: 'store_unavailable' })
    await vi.advanceTimersByTimeAsync(1000)
    expect(heldPolls.count).toBe(0)
    expect(await younger).toBe(page)
  })

  it('does not storm a store that stays away', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const take = vi.fn(() => Promise.reject(away()))
    const held = [hold(take), hold(take), hold(take)]
    heldPolls.wake('r')
    await vi.advanceTimersByTimeAsync(100)
    expect(take).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(2000)
    expect(take).toHaveBeenCalledTimes(3)
    for (const outcome of await Promise.all(held)) expect(outcome).toMatchObject({ code: 'store_unavailable' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is not looked at any more once all are let go', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const older = hold(() => Promise.reject(away()))
    const take = vi.fn(async () => pageOf(1))
    const younger = hold(take)
    heldPolls.wake('r')
    await older
    await heldPolls.drain(0)
    expect(await younger).toBe('timeout')
    expect(vi.getTimerCount()).toBe(0)
    expect(take).not.toHaveBeenCalled()
  })
})

describe('what is being appended by this process', () => {
  it('is looked for by the one poll that is held, which the notification then does not find', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const page = pageOf(1)
    const take = vi.fn(async () => page)
    const held = hold(take)
    heldPolls.wakeBehindAppend('r')
    heldPolls.wake('r')
    expect(await held).toBe(page)
    heldPolls.wake('r')
    await vi.advanceTimersByTimeAsync(0)
    expect(take).toHaveBeenCalledTimes(1)
  })

  it('leaves the poll held when nothing came of it', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const page = pageOf(1)
    const take = vi.fn(async () => (take.mock.calls.length === 1 ? pageOf(0) : page))
    const held = hold(take)
    heldPolls.wakeBehindAppend('r')
    await vi.advanceTimersByTimeAsync(0)
    expect(heldPolls.countOf('r')).toBe(1)
    heldPolls.wake('r')
    expect(await held).toBe(page)
  })

  it.each([
    ['comes later', 100],
    ['has come', 0],
  ])('does not end the poll when the store is away, and the notification %s', async (_when, afterMs) => {
    const { heldPolls, hold } = openHeldPolls()
    const page = pageOf(1)
    const take = vi.fn(async () => {
      if (take.mock.calls.length === 1) throw away()
      return page
    })
    const held = hold(take)
    heldPolls.wakeBehindAppend('r')
    if (afterMs > 0) await vi.advanceTimersByTimeAsync(afterMs)
    heldPolls.wake('r')
    await vi.advanceTimersByTimeAsync(1000)
    expect(take).toHaveBeenCalledTimes(2)
    expect(await held).toBe(page)
  })

  it('is left to the notification where several are held, so that none looks in vain', async () => {
    const { heldPolls, hold } = openHeldPolls()
    const take = vi.fn(async () => pageOf(1))
    const held = [hold(take), hold(take)]
    heldPolls.wakeBehindAppend('r')
    await vi.advanceTimersByTimeAsync(0)
    expect(take).not.toHaveBeenCalled()
    await heldPolls.drain(0)
    expect(await Promise.all(held)).toEqual(['timeout', 'timeout'])
  })
})
