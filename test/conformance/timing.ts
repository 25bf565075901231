/** When the answer must come. */
import type { Meanwhile } from './during.ts'
import { SHUTDOWN_GRACE_MS } from './own-server.ts'
import type { Outcome } from './raw-http.ts'
import type { Scene } from './scene.ts'
import { NotRun, type Vector } from './vector.ts'

/** "At once" and "promptly" (P-25, P-45, P-57). */
const PROMPT_MS = 1000
/** Around T (P-47). */
const TIMEOUT_SLACK_MS = 500
/** Servers look for slow clients now and then, not by a timer each. */
const CUT_OFF_SLACK_MS = 2000
/** Clocks of two processes, and the time between writing and reading. */
const EARLY_MS = 50

export function timingFaults(vector: Vector, scene: Scene, outcome: Outcome, meanwhile: Meanwhile): string[] {
  const after = Math.round(outcome.afterMs)
  const within = (from: number, to: number, what: string) =>
    after >= from && after <= to
      ? []
      : [`${what}: ended after ${after} ms, wanted ${Math.round(from)}–${Math.round(to)}`]
  switch (vector.expect.timing) {
    case undefined:
      return []
    case 'immediate':
      return within(0, PROMPT_MS, 'immediate')
    case 'heldUntilTimeout':
      return within(scene.pollWaitMs - TIMEOUT_SLACK_MS, scene.pollWaitMs + TIMEOUT_SLACK_MS, 'held until T')
    case 'heldUntilAvailable':
      return within(...releaseWindow(vector, scene, outcome, meanwhile), 'held until released')
    case 'abortedByClient':
      return outcome.kind === 'aborted' ? [] : [`was ${outcome.kind} before the client left`]
    case 'cutOffByServer':
      return within(0, scene.transmitter.limits.receiveTimeoutMs + CUT_OFF_SLACK_MS, 'cut off')
    default:
      throw new NotRun(`unknown timing ${vector.expect.timing}`)
  }
}

function releaseWindow(vector: Vector, scene: Scene, outcome: Outcome, meanwhile: Meanwhile): [number, number] {
  const actions = (vector.given?.during ?? []).toSorted((a, b) => a.atMs - b.atMs)
  const last = actions.at(-1)
  if (last === undefined) throw new NotRun('held until something happens, but nothing does')
  const doneAt = meanwhile.doneAtMs.at(-1) ?? last.atMs
  // Held polls are released spread over the grace, so that their receivers do not all come back at once.
  if (last.action === 'terminateInstance') return [last.atMs - EARLY_MS, doneAt + SHUTDOWN_GRACE_MS]
  // Of several held polls one SET releases one: this may be the one that stays.
  if (meanwhile.companions.length > 0 && last.action === 'enqueue' && isEmpty(outcome)) {
    return [scene.pollWaitMs - TIMEOUT_SLACK_MS, scene.pollWaitMs + TIMEOUT_SLACK_MS]
  }
  return [last.atMs - EARLY_MS, doneAt + PROMPT_MS]
}

function isEmpty(outcome: Outcome): boolean {
  return outcome.kind === 'answered' && outcome.answer.body.toString() === '{"sets":{}}'
}
