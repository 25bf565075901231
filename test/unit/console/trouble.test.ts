import { describe, expect, it } from 'vitest'
import { severityOf, troublesOf } from '../../../src/console/trouble.js'

const nowMs = Date.parse('2026-01-01T12:00:00Z')
const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString()
const idle = {
  receiver: 'r',
  status: 'enabled' as const,
  queued: 0,
  inFlight: 0,
  owedAgain: 0,
  parked: 0,
  retained: 0,
  oldestUnackedSeconds: 0,
  published: 10,
  delivered: 10,
  redelivered: 0,
  acked: 10,
  bytes: 0,
  heldPolls: 0,
  lastPollAt: ago(1),
}
const kinds = (more: object, sloMs?: number) => troublesOf({ ...idle, ...more }, nowMs, sloMs).map(({ kind }) => kind)

describe('for whom events do not flow', () => {
  it('is nobody who has acknowledged everything, however long ago the last poll was', () => {
    expect(kinds({})).toEqual([])
    expect(kinds({ lastPollAt: ago(86_400) })).toEqual([])
  })

  it('is a receiver that does not poll while SETs wait', () => {
    expect(kinds({ queued: 1, lastPollAt: ago(200) })).toEqual(['silent'])
    expect(kinds({ owedAgain: 1, lastPollAt: undefined })).toEqual(['silent'])
    expect(kinds({ queued: 1, lastPollAt: ago(60) })).toEqual([])
  })

  it('is urgent once a SET has waited for a minute', () => {
    const silent = { ...idle, queued: 1, lastPollAt: ago(200) }
    expect(severityOf(troublesOf({ ...silent, oldestUnackedSeconds: 5 }, nowMs))).toBe(2)
    expect(severityOf(troublesOf({ ...silent, oldestUnackedSeconds: 61 }, nowMs))).toBe(3)
  })

  it('is not a receiver whose poll is held, for however long', () => {
    expect(kinds({ inFlight: 1, lastPollAt: ago(200), heldPolls: 1 })).toEqual([])
  })

  it('is one whose oldest SET is over its objective, or old where none was agreed', () => {
    expect(kinds({ inFlight: 1, oldestUnackedSeconds: 61 }, 60_000)).toEqual(['late'])
    expect(kinds({ inFlight: 1, oldestUnackedSeconds: 59 }, 60_000)).toEqual([])
    expect(kinds({ inFlight: 1, oldestUnackedSeconds: 301 })).toEqual(['late'])
  })

  it('is one with dead letters', () => {
    expect(kinds({ parked: 1 })).toEqual(['parked'])
  })

  it('puts the worst first', () => {
    const troubles = troublesOf(
      { ...idle, queued: 1, parked: 1, oldestUnackedSeconds: 900, lastPollAt: ago(900) },
      nowMs,
    )
    expect(troubles.map(({ kind }) => kind)).toEqual(['silent', 'late', 'parked'])
    expect(severityOf(troubles)).toBe(3)
    expect(severityOf([])).toBe(0)
  })

  it('is told of a paused receiver, but is no alarm: somebody wanted it', () => {
    const troubles = troublesOf(
      { ...idle, status: 'paused', queued: 5, oldestUnackedSeconds: 900, lastPollAt: ago(900) },
      nowMs,
    )
    expect(severityOf(troubles)).toBe(1)
  })
})
