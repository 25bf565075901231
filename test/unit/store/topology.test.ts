/** Which slot a key is in, by the examples of the Redis Cluster specification, and what MOVED teaches. */
import { describe, expect, it } from 'vitest'
import { parseRedisUrl } from '../../../src/store/connection.ts'
import { slotOf, Topology } from '../../../src/store/topology.ts'

describe('the slot of a key', () => {
  it.for([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{user1000}.following', 3443],
    ['{user1000}.followers', 3443],
    ['foo{}{bar}', 8363],
    ['foo{{bar}}zap', 4015],
    ['foo{bar}{zap}', 5061],
  ] as const)('%s is %i', ([key, slot]) => {
    expect(slotOf(key)).toBe(slot)
  })

  it('is the same for all keys of a receiver', () => {
    expect(slotOf('set:{r1}:log')).toBe(slotOf('other:{r1}:wake'))
  })
})

describe('the way to a key', () => {
  it('in Cluster is what MOVED says, and anywhere before', () => {
    const topology = new Topology(parseRedisUrl('redis+cluster://127.0.0.1:1'))
    expect(topology.addressOf('foo')).toBe('')
    expect(topology.learn(new Error('MOVED 12182 10.0.0.1:6379'))).toBe(true)
    expect(topology.addressOf('foo')).toBe('10.0.0.1:6379')
    expect(topology.masters()).toEqual(['10.0.0.1:6379'])
  })

  it('may lead to an IPv6 host', () => {
    const target = parseRedisUrl('redis+cluster://127.0.0.1:1')
    const topology = new Topology(target)
    topology.learn(new Error('MOVED 12182 ::1:6379'))
    const node = target.openNode(topology.addressOf('foo'))
    expect([node.options.host, node.options.port]).toEqual(['::1', 6379])
    node.disconnect()
  })

  it('is not taught by another error, nor by a slot that does not exist', () => {
    const topology = new Topology(parseRedisUrl('redis+cluster://127.0.0.1:1'))
    for (const text of [
      'ASK 12182 10.0.0.1:6379',
      'MOVED 16384 10.0.0.1:6379',
      'MOVED __proto__ 10.0.0.1:6379',
      'MOVED 1 :6379',
      'ERR',
    ]) {
      expect(topology.learn(new Error(text)), text).toBe(false)
    }
  })

  it('of a single server is always the same', () => {
    const topology = new Topology(parseRedisUrl('redis://127.0.0.1:1'))
    expect([topology.addressOf('foo'), topology.masters()]).toEqual(['', ['']])
  })
})
