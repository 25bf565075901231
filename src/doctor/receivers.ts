/** Whom do SETs not reach? */
import type { LimitsOf } from '../delivery/limits.ts'
import type { Receiver } from '../store/receiver-store.ts'
import type { ReceiverCounts } from '../store/set-reader.ts'
import { type Finding, ok, roughly, warning } from './finding.ts'

export interface Examined {
  readonly receiver: Receiver
  readonly counts: ReceiverCounts
}

const SILENT_MS = 900_000
const OLD_MS = 3_600_000
const BACKLOG_SHARE = 0.8
const SWEEP_OVERDUE_MS = 60_000
/** Named one by one; beyond these only how many there are. */
const NAMED_MAX = 10

interface Trouble {
  readonly kind: string
  readonly advice: string
  /** What is wrong with this one, if anything. */
  of(examined: Examined, limitsOf: LimitsOf): string | undefined
}

const troubles: readonly Trouble[] = [
  {
    kind: 'silent receivers',
    advice: 'Their side has stopped polling, or cannot reach us: docs/operate.md#receiver-silent.',
    of({ receiver, counts: { queued, owedAgain, nowMs, totals } }) {
      if (receiver.status !== 'enabled' || queued + owedAgain === 0) return undefined
      if (totals.lastPoll === undefined) return `${receiver.id} has never polled, ${queued + owedAgain} SETs wait`
      const silentMs = nowMs - totals.lastPoll
      return silentMs > SILENT_MS
        ? `${receiver.id} has not polled for ${roughly(silentMs)}, ${queued + owedAgain} SETs wait`
        : undefined
    },
  },
  {
    kind: 'late receivers',
    advice: 'They poll and do not keep up, or do not acknowledge: docs/operate.md#slo-missed.',
    of({ receiver, counts: { oldestUnackedSeconds } }, limitsOf) {
      const { sloMs } = limitsOf(receiver)
      const boundMs = sloMs > 0 ? sloMs : OLD_MS
      const ageMs = oldestUnackedSeconds * 1000
      return receiver.status === 'enabled' && ageMs > boundMs
        ? `${receiver.id}: the oldest SET is ${roughly(ageMs)} old, ${sloMs > 0 ? 'its objective is' : 'without an objective'} ${sloMs > 0 ? roughly(sloMs) : `${roughly(OLD_MS)} count as late`}`
        : undefined
    },
  },
  {
    kind: 'full backlogs',
    advice: 'At their bound publishing gets 429: docs/operate.md#backlog-near-its-bound.',
    of({ receiver, counts }, limitsOf) {
      const { backlogMax, backlogBytesMax } = limitsOf(receiver)
      const { queued, inFlight, owedAgain, parked, totals } = counts
      const share = Math.max(
        (queued + inFlight + owedAgain + parked) / backlogMax,
        (totals.bytes ?? 0) / backlogBytesMax,
      )
      return share > BACKLOG_SHARE ? `${receiver.id} is at ${Math.round(share * 100)} % of its bound` : undefined
    },
  },
  {
    kind: 'dead letters',
    advice: 'Look at them with `setstream parked list`, then requeue or discard: docs/operate.md#parked-growing.',
    of({ receiver, counts: { parked } }) {
      return parked > 0 ? `${receiver.id} has ${parked}` : undefined
    },
  },
  {
    kind: 'overdue redelivery',
    advice: 'A job was lost or no worker runs; the next poll of the receiver, or a worker within the hour, mends it.',
    of({ receiver, counts: { inFlight, nowMs, totals } }) {
      const at = totals.sweepAt ?? 0
      return inFlight > 0 && at > 0 && nowMs - at > SWEEP_OVERDUE_MS
        ? `${receiver.id}: ${inFlight} SETs in flight should have been looked at ${roughly(nowMs - at)} ago`
        : undefined
    },
  },
]

export function receiverFindings(examined: readonly Examined[], limitsOf: LimitsOf): Finding[] {
  const findings = troubles.flatMap(({ kind, advice, of }) => {
    const found = examined.flatMap(one => of(one, limitsOf) ?? [])
    if (found.length === 0) return []
    const named = found.slice(0, NAMED_MAX).join('; ')
    return [warning(kind, found.length > NAMED_MAX ? `${named}; and ${found.length - NAMED_MAX} more` : named, advice)]
  })
  return findings.length > 0 ? findings : [ok('receivers', `${examined.length}, none is stuck`)]
}
