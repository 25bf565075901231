/** What the interface answers, as far as the console reads it. */

export interface Stats {
  readonly receiver: string
  readonly status: 'enabled' | 'paused' | 'disabled'
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly retained: number
  readonly oldestUnackedSeconds: number
  readonly published: number
  readonly delivered: number
  readonly redelivered: number
  readonly acked: number
  readonly bytes: number
  readonly heldPolls: number
  readonly lastPollAt?: string
}

export interface Receiver {
  readonly id: string
  readonly audience: string | readonly string[]
  readonly description?: string
  readonly owner?: string
  readonly eventTypes: readonly string[]
  readonly status: Stats['status']
  readonly settings: Readonly<Record<string, number | string>>
  readonly pollUrl: string
  readonly createdAt: string
  readonly updatedAt: string
}

export interface ListedSet {
  readonly jti: string
  readonly state: string
  readonly attempts: number
  readonly publishedAt: string
  readonly bytes: number
  readonly inStateSeconds?: number
  readonly reason?: string
  readonly parkedAt?: string
  readonly err?: string
  readonly description?: string
}

export interface LocatedSet {
  readonly jti: string
  readonly state: string
  readonly attempts?: number
  readonly publishedAt?: string
  readonly acknowledgedAt?: string
  readonly inStateSeconds?: number
  readonly reason?: string
  readonly parkedAt?: string
  readonly err?: string
  readonly description?: string
  readonly language?: string
  readonly claims?: Readonly<Record<string, unknown>>
}

export interface Report {
  readonly jti: string
  readonly err: string
  readonly description: string
  readonly language?: string
  readonly attempts: number
  readonly at: string
}

export interface Moved {
  readonly moved: number
  readonly remaining: number
  readonly retainedFrom?: string
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string
}

/** One look at what is held: by one receiver, or by all together. */
export interface Sample {
  readonly atMs: number
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly published: number
  readonly delivered: number
  readonly acked: number
}

export type Role = 'admin' | 'read'
