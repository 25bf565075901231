/**
 * Counts what a receiver holds the slow way, from the log itself, and checks the data model's invariants on the way:
 * every SET is in exactly one state, its jti finds it, and nothing is left of what is final.
 */
import type { Redis } from 'ioredis'
import { expect } from 'vitest'
import { GROUP, type ReceiverKeys } from '../../src/store/keys.ts'

export interface Recount {
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly retained: number
  readonly bytes: number
  readonly oldestMs: number | undefined
  /** jti → state. */
  readonly states: ReadonlyMap<string, 'queued' | 'inflight' | 'due' | 'parked'>
}

type Entry = [id: string, fields: string[]]
type Pending = [id: string, consumer: string, idleMs: number, attempts: number]

/** One step of Redis, so that what other processes do meanwhile does not show as a fault. */
async function snapshot(redis: Redis, keys: ReceiverKeys) {
  const answers = await redis
    .multi()
    .xrange(keys.log, '-', '+')
    .hgetall(keys.ids)
    .xpending(keys.log, GROUP, '-', '+', 1_000_000)
    .hkeys(keys.why)
    .xrange(keys.acked, '-', '+')
    .hgetall(keys.counts)
    .call('XINFO', 'GROUPS', keys.log)
    .exec()
  const [log, ids, pending, why, acked, counts, groups] = (answers ?? []).map(([error, answer]) => {
    if (error) throw error
    return answer
  })
  const group = flat((groups as unknown[][])[0] ?? [])
  return {
    log: log as Entry[],
    ids: pairs(ids),
    pending: pending as Pending[],
    why: why as string[],
    acked: acked as Entry[],
    counts: pairs(counts),
    lastRead: String(group.get('last-delivered-id')),
  }
}

/** Checks the invariants of one receiver's keys and counts. */
export async function recount(redis: Redis, keys: ReceiverKeys): Promise<Recount> {
  const { log, ids, pending, why, acked, counts, lastRead } = await snapshot(redis, keys)
  const entries = new Map(log.map(([id, fields]) => [id, flat(fields)]))
  const states = new Map<string, 'queued' | 'inflight' | 'due' | 'parked'>()
  const jtiOf = new Map([...ids].map(([jti, id]) => [id, jti]))
  expect(jtiOf.size, 'two jtis name one entry').toBe(ids.size)
  for (const [jti, id] of ids) {
    expect(entries.get(id)?.get('jti'), `the entry of ${jti}`).toBe(jti)
    states.set(jti, 'queued')
  }
  for (const [id, consumer] of pending) {
    const jti = jtiOf.get(id)
    expect(jti, `${id} is pending for ${consumer}, but final`).toBeDefined()
    states.set(jti as string, consumer as 'inflight')
  }
  const kept = new Set(acked.map(([, fields]) => String(flat(fields).get('id'))))
  for (const [id, fields] of entries) {
    const isOpen = jtiOf.has(id)
    expect(isOpen !== kept.has(id), `${id} (${fields.get('jti')}) is open or retained, and not both`).toBe(true)
    const isRead = compareIds(id, lastRead) <= 0
    if (isOpen) expect(isRead, `${id} was read`).toBe(states.get(jtiOf.get(id) as string) !== 'queued')
  }
  const inState = (state: string) => [...states].filter(([, found]) => found === state).map(([jti]) => jti)
  expect(why.toSorted(), 'every parked SET has a reason, and no other').toEqual(inState('parked').toSorted())
  const total = (field: string) => Number(counts.get(field) ?? 0)
  const discarded = [...counts].filter(([field]) => field.startsWith('discarded:')).map(([, n]) => Number(n))
  expect(
    total('appended') + total('replayed') - total('acknowledged') - total('lost') - sum(discarded),
    'what came less what is final is what is held',
  ).toBe(ids.size)
  const unacked = [...ids].filter(([jti]) => states.get(jti) !== 'parked').map(([, id]) => Number.parseInt(id, 10))
  return {
    queued: inState('queued').length,
    inFlight: inState('inflight').length,
    owedAgain: inState('due').length,
    parked: inState('parked').length,
    retained: acked.length,
    bytes: sum([...ids.values()].map(id => entries.get(id)?.get('set')?.length ?? 0)),
    oldestMs: unacked.length === 0 ? undefined : Math.min(...unacked),
    states,
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}

function flat(values: unknown[]): Map<string, string> {
  const found = new Map<string, string>()
  for (let i = 0; i < values.length; i += 2) found.set(String(values[i]), String(values[i + 1]))
  return found
}

function pairs(hash: unknown): Map<string, string> {
  return new Map(Object.entries(hash as Record<string, string>))
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number)
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number)
  return aMs - bMs || aSeq - bSeq
}
