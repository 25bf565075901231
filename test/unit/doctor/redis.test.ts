import { describe, expect, it } from 'vitest'
import { redisFindings } from '../../../src/doctor/redis.ts'
import type { ServerFacts } from '../../../src/store/server-facts.ts'

const good: ServerFacts = {
  name: 'redis',
  product: 'Redis',
  version: '7.2.4',
  role: 'master',
  connectedReplicas: 0,
  isLastWriteOk: true,
  usedBytes: 1_048_576,
  maxBytes: 1_073_741_824,
  clockAheadMs: 3,
  clockDoubtMs: 5,
  settings: new Map([
    ['maxmemory-policy', 'noeviction'],
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['lazyfree-lazy-expire', 'yes'],
    ['stream-node-max-bytes', '1024'],
  ]),
}

const troubles = (facts: Partial<ServerFacts>, confirm = 'written') =>
  redisFindings([{ ...good, ...facts }], confirm, 80)
    .filter(({ state }) => state !== 'ok')
    .map(({ check, state }) => [check, state])

describe('a Redis', () => {
  it('that is as it should be leads to no finding', () => {
    expect(troubles({})).toEqual([])
  })

  it.each(['6.2.14', '5.0.7', 'unknown'])('of version %s is not taken', version => {
    expect(troubles({ version })).toEqual([['redis: version', 'failure']])
  })

  it('that is a replica is not written to', () => {
    expect(troubles({ role: 'slave' })).toEqual([['redis: version', 'failure']])
  })

  it('whose clock is apart by more than its answer took is told', () => {
    expect(troubles({ clockAheadMs: -900 })).toEqual([])
    expect(troubles({ clockAheadMs: 1500, clockDoubtMs: 600 })).toEqual([])
    expect(troubles({ clockAheadMs: 1500 })).toEqual([['redis: clock', 'warning']])
    expect(troubles({ clockAheadMs: -60_000 })).toEqual([['redis: clock', 'failure']])
  })

  it('without a limit of memory, or near it, is told', () => {
    expect(troubles({ maxBytes: 0 })).toEqual([['redis: memory', 'warning']])
    expect(troubles({ usedBytes: 900_000_000 })).toEqual([['redis: memory', 'failure']])
  })

  it('that could not write to its disk is told', () => {
    expect(troubles({ isLastWriteOk: false })).toEqual([['redis: disk', 'failure']])
  })

  it('with fewer replicas than CONFIRM waits for is told', () => {
    expect(troubles({ connectedReplicas: 1 }, 'replicated:2')).toEqual([['redis: replicas', 'failure']])
    expect(troubles({ connectedReplicas: 2 }, 'replicated:2')).toEqual([])
  })

  it('that does not allow CONFIG GET is told what to make sure of, and not that it is wrong', () => {
    const found = troubles({ settings: undefined })
    expect(found.length).toBe(4)
    expect(new Set(found.map(([, state]) => state))).toEqual(new Set(['warning']))
  })
})
