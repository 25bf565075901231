/** What receivers hold and have been through, exact and now: derived from the log at each call. */
import type { ReceiverStore } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { ReceiverCounts, SetReader } from '../store/set-reader.ts'
import type { HeldEverywhere } from './held-everywhere.ts'
import { unknownReceiver } from './receivers.ts'

export interface StatsDependencies {
  readonly reader: SetReader
  readonly receivers: ReceiverStore
  readonly registry: Registry
  readonly held: Pick<HeldEverywhere, 'countOf' | 'all'>
}

export interface ReceiverStats {
  readonly receiver: string
  readonly status: string
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
  readonly lastPollAt?: string
  readonly heldPolls: number
}

export type StatsTotals = Omit<ReceiverStats, 'receiver' | 'status' | 'lastPollAt'> & { readonly receivers: number }

/** Pages that follow the first one have its totals: counting all receivers for each would cost their square. */
const TOTALS_AGE_MAX_MS = 10_000

/** Receivers asked at once, so that a look at all of them leaves Redis free for others. */
const AT_ONCE = 100

export class Stats {
  readonly #deps: StatsDependencies
  #totals: { readonly atMs: number; readonly value: Promise<StatsTotals> } | undefined

  constructor(deps: StatsDependencies) {
    this.#deps = deps
  }

  /** @throws {TransmitterError} not_found */
  async of(receiver: string): Promise<ReceiverStats> {
    const counts = await this.#deps.reader.count(receiver)
    if (counts === undefined) throw unknownReceiver()
    return toStats(receiver, counts, await this.#deps.held.countOf(receiver))
  }

  /** A page of receivers, and the totals of all: exact on the first page, those of the first page on the others. */
  async page(limit: number, cursor: string | undefined) {
    const { items, next } = await this.#deps.receivers.list(limit, cursor)
    const stats = await this.#ofAll(items.map(({ id }) => id))
    // One page that has them all is not counted a second time.
    const isAll = cursor === undefined && next === undefined
    return { items: stats, totals: isAll ? totalsOf(stats) : await this.#totalsFor(cursor), next }
  }

  #totalsFor(cursor: string | undefined): Promise<StatsTotals> {
    const known = this.#totals
    if (cursor !== undefined && known !== undefined && Date.now() - known.atMs < TOTALS_AGE_MAX_MS) return known.value
    const value = this.#every().then(totalsOf)
    this.#totals = { atMs: Date.now(), value }
    value.catch(() => {
      if (this.#totals?.value === value) this.#totals = undefined
    })
    return value
  }

  async #every(): Promise<ReceiverStats[]> {
    return this.#ofAll((await this.#deps.registry.every()).map(({ id }) => id))
  }

  async #ofAll(receivers: readonly string[]): Promise<ReceiverStats[]> {
    const stats: ReceiverStats[] = []
    const held = await this.#deps.held.all()
    for (let from = 0; from < receivers.length; from += AT_ONCE) {
      const part = receivers.slice(from, from + AT_ONCE)
      const counts = await Promise.all(part.map(receiver => this.#deps.reader.count(receiver)))
      counts.forEach((count, i) => {
        const receiver = part[i] as string
        if (count !== undefined) stats.push(toStats(receiver, count, held.get(receiver) ?? 0))
      })
    }
    return stats
  }
}

function toStats(receiver: string, counts: ReceiverCounts, heldPolls: number): ReceiverStats {
  const { totals, nowMs: _nowMs, ...held } = counts
  const lastPollMs = totals.lastPoll
  return {
    receiver,
    ...held,
    published: totals.appended ?? 0,
    delivered: totals.delivered ?? 0,
    redelivered: totals.redelivered ?? 0,
    acked: totals.acknowledged ?? 0,
    bytes: totals.bytes ?? 0,
    ...(lastPollMs === undefined ? {} : { lastPollAt: new Date(lastPollMs).toISOString() }),
    heldPolls,
  }
}

function totalsOf(all: readonly ReceiverStats[]): StatsTotals {
  const sum = (name: keyof ReceiverStats) => all.reduce((total, stats) => total + (stats[name] as number), 0)
  return {
    receivers: all.length,
    queued: sum('queued'),
    inFlight: sum('inFlight'),
    owedAgain: sum('owedAgain'),
    parked: sum('parked'),
    retained: sum('retained'),
    oldestUnackedSeconds: all.reduce((oldest, stats) => Math.max(oldest, stats.oldestUnackedSeconds), 0),
    published: sum('published'),
    delivered: sum('delivered'),
    redelivered: sum('redelivered'),
    acked: sum('acked'),
    bytes: sum('bytes'),
    heldPolls: sum('heldPolls'),
  }
}
