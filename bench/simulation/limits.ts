/** What one receiver can have: all its SETs are in one slot, and so on one core of one Redis. Pure. */
import type { Costs } from './costs.ts'

export interface ReceiverLimit {
  readonly appended: number
  readonly page: number
  /** SETs a second with its shard full of it. */
  readonly setsPerSecond: number
}

/** @param appended SETs of one script; @param page SETs of one poll. */
export function receiverLimit({ spread, withReplica }: Costs, appended: number, page: number): ReceiverLimit {
  const { append, poll } = spread
  const us = append.set + append.script / appended + poll.redis.set + poll.redis.script / page
  return { appended, page, setsPerSecond: 1e6 / (us * withReplica.master) }
}
