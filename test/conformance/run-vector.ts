/** Runs one vector: state, request, what happens meanwhile, and what is seen of the answer and after it. */
import { afterFaults, snapshot } from './after.ts'
import { echoFaults, headerFaults, pollAnswerFaults, shapeFaults } from './answer.ts'
import { readCondition } from './condition.ts'
import { placeholdersOf } from './credentials.ts'
import { checkActions, startMeanwhile } from './during.ts'
import { type Observed, prepareInvariants } from './invariants.ts'
import type { Issuer } from './issuer.ts'
import type { Bench, Lab } from './lab.ts'
import { type Outcome, send } from './raw-http.ts'
import { buildRequest, submittedValues } from './request.ts'
import { type Scene, setScene, useUpBudget } from './scene.ts'
import { timingFaults } from './timing.ts'
import { NotRun, type Vector } from './vector.ts'

export interface Result {
  readonly id: string
  readonly description: string
  readonly result: 'passed' | 'failed' | 'not run'
  /** Why it failed or was not run; empty when it passed. */
  readonly faults: readonly string[]
  /** What a reader should know of a pass: another conforming answer, properties that were not looked at. */
  readonly notes: readonly string[]
  readonly tookMs: number
}

export async function runVector(vector: Vector, lab: Lab, issuer: Issuer): Promise<Result> {
  const startedAt = performance.now()
  const ended = (result: Result['result'], faults: readonly string[], notes: readonly string[] = []): Result => ({
    id: vector.id,
    description: vector.description,
    result,
    faults,
    notes,
    tookMs: Math.round(performance.now() - startedAt),
  })
  try {
    let findings = await onBench(vector, lab, issuer)
    const late: string[] = []
    // A busy machine delays an answer once; a transmitter that times wrongly does so every time.
    while (findings.faults.length === 0 && findings.timing.length > 0 && late.length < TIMING_RETRIES) {
      late.push(`timing was off and is as wanted in a further try: ${findings.timing[0]}`)
      findings = await onBench(vector, lab, issuer)
    }
    const faults = [...new Set([...findings.faults, ...findings.timing])]
    return faults.length > 0
      ? ended('failed', faults, findings.notes)
      : ended('passed', [], [...findings.notes, ...late])
  } catch (error) {
    if (error instanceof NotRun) return ended('not run', [error.message])
    return ended('failed', [`set-up or second look: ${error instanceof Error ? error.message : String(error)}`])
  }
}

const TIMING_RETRIES = 2

interface Findings {
  readonly faults: readonly string[]
  readonly timing: readonly string[]
  readonly notes: readonly string[]
}

async function onBench(vector: Vector, lab: Lab, issuer: Issuer): Promise<Findings> {
  checkActions(vector.given?.during ?? [])
  const bench = await lab.benchFor(vector, readCondition(vector.given?.condition))
  try {
    const scene = await setScene(vector, bench.transmitter, issuer)
    try {
      return await exchangeAndCheck(vector, scene, bench)
    } finally {
      await scene.close()
    }
  } finally {
    await bench.close()
  }
}

async function exchangeAndCheck(vector: Vector, scene: Scene, bench: Bench): Promise<Findings> {
  const { conditions, transmitter } = scene
  const request = await buildRequest(vector.request, placeholdersOf(scene), transmitter.limits)
  const feeds = vector.given?.otherStream?.length ? [scene.feed, await scene.otherFeed()] : [scene.feed]
  const stateBefore = await snapshot(scene, feeds)
  const terminates = vector.given?.during?.some(({ action }) => action === 'terminateInstance')
  const invariants = await prepareInvariants(vector, scene)
  if (conditions.secondInstance) await bench.secondInstance()
  const budget = conditions.budgetUsedUp ? await useUpBudget(scene) : undefined
  if (conditions.storeDown) await bench.stopStore()

  const patienceMs = Math.max(scene.pollWaitMs, transmitter.limits.receiveTimeoutMs) + 10_000
  const exchange = send(transmitter.publicUrl, request, patienceMs)
  const meanwhile = startMeanwhile(scene, bench, exchange, vector.given?.during ?? [])
  try {
    const heldFaults = await invariants.whileHeld({ vector, scene, exchange })
    const outcome = await exchange.outcome
    await budget?.stop()
    await meanwhile.done
    if (conditions.storeDown) await bench.startStore()
    if (terminates) await scene.moveTo(await bench.secondInstance())

    const seen: Observed = { vector, scene, request, exchange, outcome, meanwhile }
    const other = isAnotherConforming(vector, outcome)
    const faults = [...heldFaults, ...outcomeFaults(seen, other)]
    const timing = timingFaults(vector, scene, outcome, meanwhile)
    // Before polls of our own move SETs on.
    const refusal = outcome.kind === 'answered' && outcome.answer.status >= 400
    if (refusal) {
      const stateAfter = await snapshot(scene, feeds)
      if (stateAfter !== stateBefore) faults.push(`state changed from ${stateBefore} to ${stateAfter}`)
    }
    faults.push(...(await invariants.afterwards(seen)))
    // What a refusal leaves is what was there before, whatever the vector wants after a 200.
    const refusedInstead = other && refusal && Number(vector.expect.status) < 400
    if (!refusedInstead && !budget) faults.push(...(await afterFaults(vector.expect.after ?? {}, scene)))
    faults.push(...meanwhile.faults, ...scene.feed.faults)
    const notes = [
      ...(other
        ? [`answered ${shownStatus(outcome)}, also conforming; expected ${vector.expect.status ?? 'no answer'}`]
        : []),
      ...invariants.unchecked.map(sentence => `not looked at: ${sentence}`),
      ...(budget ? ['what is owed was looked up and not polled for: the budget is used up'] : []),
    ]
    return { faults, timing, notes }
  } finally {
    await budget?.stop()
    meanwhile.leave()
  }
}

function outcomeFaults({ vector, scene, request, outcome }: Observed, otherConforming: boolean): string[] {
  const { expect } = vector
  if (outcome.kind !== 'answered') {
    const conforms = expect.status === null || otherConforming
    return conforms && outcome.kind !== 'silent'
      ? []
      : [`${shownStatus(outcome)}, wanted ${expect.status ?? 'no answer'}`]
  }
  const { answer } = outcome
  const faults = pollAnswerFaults(answer, scene.feed.tokens)
  if (answer.status >= 400) faults.push(...echoFaults(answer, submittedValues(request)))
  if (answer.status !== expect.status && !otherConforming) {
    return [
      `answered ${answer.status}, wanted ${expect.status ?? 'no answer'}: ${answer.body.toString().slice(0, 200)}`,
      ...faults,
    ]
  }
  if (answer.status !== expect.status) return faults
  faults.push(...headerFaults(answer, expect.headers ?? {}))
  if (expect.bodyShape) faults.push(...shapeFaults(answer, expect.bodyShape, scene.transmitter.limits))
  return faults
}

function isAnotherConforming(vector: Vector, outcome: Outcome): boolean {
  const status = outcome.kind === 'answered' ? outcome.answer.status : null
  return status !== vector.expect.status && (vector.expect.alsoConforming ?? []).includes(status)
}

function shownStatus(outcome: Outcome): string {
  if (outcome.kind === 'answered') return String(outcome.answer.status)
  return outcome.kind === 'closed' ? `no answer (${outcome.reason})` : `no answer (${outcome.kind})`
}
