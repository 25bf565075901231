/** Whether events flow to a receiver, and if not, why and what to do. Pure. */

/** @typedef {import('./types.d.ts').Stats} Stats */
/** @typedef {{ readonly kind: string, readonly severity: 1 | 2 | 3, readonly label: string, readonly advice: string }} Trouble */

/** Longer than polls are held: whoever polls at all has done so meanwhile. */
const SILENT_MS = 180_000
/** Until then it may be about to poll for the first time, or again. */
const WAITS_SECONDS = 60
/** Where no objective was agreed: several deliveries went by without an acknowledgement. */
const LATE_SECONDS = 300

/**
 * @param {Stats} stats
 * @param {number} nowMs
 * @param {number} [sloMs] the objective of this receiver
 * @returns {Trouble[]} worst first
 */
export function troublesOf(stats, nowMs, sloMs) {
  /** @type {Trouble[]} */
  const found = []
  const open = stats.queued + stats.inFlight + stats.owedAgain
  const polledMs = stats.lastPollAt === undefined ? 0 : Date.parse(stats.lastPollAt)
  if (stats.status === 'enabled' && open > 0 && stats.heldPolls === 0 && nowMs - polledMs > SILENT_MS) {
    found.push({
      kind: 'silent',
      severity: stats.oldestUnackedSeconds > WAITS_SECONDS ? 3 : 2,
      label: stats.lastPollAt === undefined ? 'never polled' : 'silent',
      advice:
        'SETs wait and the receiver does not poll. Is it running? Does it reach its poll URL, with a token that holds?',
    })
  }
  const lateSeconds = sloMs === undefined || sloMs === 0 ? LATE_SECONDS : sloMs / 1000
  if (stats.status !== 'disabled' && stats.oldestUnackedSeconds > lateSeconds) {
    found.push({
      kind: 'late',
      severity: stats.status === 'paused' ? 1 : 2,
      label: 'late',
      advice:
        'The oldest SET waits for its acknowledgement for too long. If it is owed again, it was delivered and not acknowledged: look there, and in the log of the receiver.',
    })
  }
  if (stats.parked > 0) {
    found.push({
      kind: 'parked',
      severity: 2,
      label: 'dead letters',
      advice: 'SETs were given up. Look at their reasons, then requeue them, or discard them.',
    })
  }
  if (stats.status === 'paused') {
    found.push({
      kind: 'paused',
      severity: 1,
      label: 'paused',
      advice: 'SETs queue and are not delivered until the receiver is enabled.',
    })
  }
  return found.sort((a, b) => b.severity - a.severity)
}

/** @param {readonly Trouble[]} troubles */
export function severityOf(troubles) {
  return troubles[0]?.severity ?? 0
}
