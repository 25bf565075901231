/** What applies to one receiver: its own settings over the defaults of the process. */
import type { Config } from '../config.ts'
import type { SigningAlg } from '../signing/key-ring.ts'
import type { Receiver } from '../store/receiver-store.ts'

export interface ReceiverLimits {
  readonly pageMax: number
  readonly pollWaitMs: number
  readonly redeliverAfterMs: number
  readonly maxAttempts: number
  readonly parkAfterMs: number
  readonly backlogMax: number
  readonly backlogBytesMax: number
  readonly expireAfterMs: number
  readonly retainAckedMs: number
  readonly dedupeWindowMs: number
  readonly signingAlg: SigningAlg
  /** How roughly its SETs tell when an event happened (RFC 8417 §6). */
  readonly toeRoundMs: number
  /** From append to acknowledgement; 0 when nothing was agreed. */
  readonly sloMs: number
}

export type LimitsOf = (receiver: Receiver) => ReceiverLimits

/** For publishing: less than its own limit is left to a receiver while Redis is short of memory. */
export function underPressure(limitsOf: LimitsOf, bytesMaxOf: (receiver: string) => number): LimitsOf {
  return receiver => {
    const limits = limitsOf(receiver)
    const backlogBytesMax = bytesMaxOf(receiver.id)
    return backlogBytesMax < limits.backlogBytesMax ? { ...limits, backlogBytesMax } : limits
  }
}

export function limitsFrom(config: Config): LimitsOf {
  const defaults: ReceiverLimits = {
    pageMax: config.PAGE_MAX,
    pollWaitMs: config.POLL_WAIT_MS,
    redeliverAfterMs: config.REDELIVER_AFTER_MS,
    maxAttempts: config.MAX_ATTEMPTS,
    parkAfterMs: config.PARK_AFTER_MS,
    backlogMax: config.BACKLOG_MAX,
    backlogBytesMax: config.BACKLOG_BYTES_MAX,
    expireAfterMs: config.EXPIRE_AFTER_MS,
    retainAckedMs: config.RETAIN_ACKED_MS,
    dedupeWindowMs: config.DEDUPE_WINDOW_MS,
    signingAlg: config.SIGNING_ALG,
    toeRoundMs: config.TOE_ROUND_MS,
    sloMs: 0,
  }
  // A record is replaced when it changes, never altered, so what was made of one stays true of it.
  const known = new WeakMap<Receiver, ReceiverLimits>()
  return receiver => {
    let limits = known.get(receiver)
    if (limits === undefined) {
      limits = { ...defaults, ...receiver.settings }
      known.set(receiver, limits)
    }
    return limits
  }
}
