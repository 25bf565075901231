/** Are the counts that everything shows those of the log? One receiver, counted the slow way. */
import type { Client } from '../store/connection.ts'
import type { Keys } from '../store/keys.ts'
import { type Recount, recount } from '../store/recount.ts'
import type { ReceiverCounts, SetReader } from '../store/set-reader.ts'
import { type Finding, failure, ok, warning } from './finding.ts'

export interface RecountDependencies {
  readonly redis: Client
  readonly keys: Keys
  readonly reader: Pick<SetReader, 'count'>
}

/** A receiver that is in use changes while it is counted. */
const TRIES = 3

export async function recountFindings(
  deps: RecountDependencies,
  receiver: string,
  onProgress: (done: number, total: number) => void,
): Promise<Finding[]> {
  const check = `recount of ${receiver}`
  let before = await deps.reader.count(receiver)
  if (before === undefined) return [failure(check, 'no such receiver', '`setstream receivers list` shows all.')]
  for (let tries = 1; ; tries++) {
    const counted = await recount(deps.redis, deps.keys, receiver, onProgress)
    const after = await deps.reader.count(receiver)
    if (after === undefined) return [warning(check, 'it was deleted meanwhile', 'Nothing is left to count.')]
    if (isSame(before, after)) return compare(check, counted, after)
    if (tries === TRIES) {
      return [
        warning(
          check,
          `it kept changing while it was counted: ${sentence(counted)} counted, ${sentence(after)} shown`,
          'Pause the receiver for a moment (`setstream receivers update --status paused`), or try when it is quieter.',
        ),
      ]
    }
    before = after
  }
}

function compare(check: string, counted: Recount, shown: ReceiverCounts): Finding[] {
  const findings: Finding[] = counted.faults.map(({ what, count, example }) =>
    failure(
      check,
      `${what}: ${count}, such as ${example}`,
      'Somebody else wrote to these keys, or an older copy was restored. Keep a copy (docs/backup.md) before anything is changed.',
    ),
  )
  const differs =
    counted.queued !== shown.queued ||
    counted.inFlight !== shown.inFlight ||
    counted.owedAgain !== shown.owedAgain ||
    counted.parked !== shown.parked ||
    counted.bytes !== (shown.totals.bytes ?? 0)
  if (differs) {
    findings.push(
      failure(
        check,
        `${sentence(counted)} counted, but shown are ${sentence(shown)}`,
        'The counts are derived from the log, so this is a fault of ours or of what wrote to Redis besides us: please report it.',
      ),
    )
  }
  return findings.length > 0 ? findings : [ok(check, `${sentence(counted)}, as shown`)]
}

/** Nothing was appended, handed out, settled or moved meanwhile. */
function isSame(before: ReceiverCounts, after: ReceiverCounts): boolean {
  const text = ({ nowMs: _now, oldestUnackedSeconds: _oldest, ...rest }: ReceiverCounts) => JSON.stringify(rest)
  return text(before) === text(after)
}

function sentence(counts: Recount | ReceiverCounts): string {
  const { queued, inFlight, owedAgain, parked } = counts
  const bytes = 'totals' in counts ? (counts.totals.bytes ?? 0) : counts.bytes
  return `${queued} queued, ${inFlight} in flight, ${owedAgain} owed again, ${parked} parked, ${bytes} bytes`
}
