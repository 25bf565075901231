/** Do workers run? Without them nothing lapses for a receiver that does not poll, and nothing is ever trimmed. */
import type { Snapshot } from '../telemetry/facts.ts'
import { type Finding, failure, ok, roughly, warning } from './finding.ts'

/** Retention runs every minute at the least; this queue tells of all, since one process works on them all. */
const RETENTION_WITHIN_MS = 300_000

export function workerFindings(
  lastRuns: Readonly<Record<string, number>>,
  jobs: Snapshot['jobs'],
  nowMs: number,
): Finding[] {
  const last = lastRuns.retention
  const advice = 'Run `setstream serve --roles workers`, or the internal and public roles with it.'
  const findings: Finding[] = []
  if (last === undefined) findings.push(failure('workers', 'none has ever run on this Redis and KEY_PREFIX', advice))
  else if (nowMs - last > RETENTION_WITHIN_MS) {
    findings.push(failure('workers', `none has run for ${roughly(nowMs - last)}`, advice))
  } else findings.push(ok('workers', `ran ${roughly(Math.max(0, nowMs - last))} ago`))
  for (const { queue, jobs: counts } of jobs) {
    const failed = counts.failed ?? 0
    if (failed > 0) {
      findings.push(
        warning(
          `workers: ${queue}`,
          `${failed} job${failed === 1 ? '' : 's'} failed for good`,
          'The log says why; the console shows them. What they were about is asked for again by the next poll.',
        ),
      )
    }
  }
  return findings
}
