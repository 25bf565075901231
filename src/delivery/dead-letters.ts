/** What an operator does with SETs: look, requeue, discard, replay. Long work goes in bounded steps. */
import { TransmitterError } from '../errors.ts'
import type { Registry } from '../store/registry.ts'
import type { SetReader } from '../store/set-reader.ts'
import type { Choice, SetStore } from '../store/set-store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { LimitsOf } from './limits.ts'
import { unknownReceiver } from './receivers.ts'

export interface DeadLettersDependencies {
  readonly sets: SetStore
  readonly reader: SetReader
  readonly registry: Registry
  readonly limitsOf: LimitsOf
  readonly metrics: Metrics
}

export interface Moved {
  readonly moved: number
  /** What the same call made again would find. */
  readonly remaining: number
}

/** SETs a script moves, and SETs one call moves: a caller repeats it while `remaining` is not 0, and shows progress. */
const STEP = 100
const CALL_MAX = 10_000

export class DeadLetters {
  readonly #deps: DeadLettersDependencies

  constructor(deps: DeadLettersDependencies) {
    this.#deps = deps
  }

  requeue(receiverId: string, choice: { jtis: readonly string[] } | { all: true }): Promise<Moved> {
    return this.#inSteps(receiverId, choice, part => this.#deps.sets.requeue(receiverId, part))
  }

  async discard(receiverId: string, choice: { jtis: readonly string[] } | { all: true }): Promise<Moved> {
    const receiver = await this.#require(receiverId)
    const { dedupeWindowMs } = this.#deps.limitsOf(receiver)
    const moved = await this.#inSteps(receiverId, choice, part =>
      this.#deps.sets.discard(receiverId, part, 'operator', dedupeWindowMs),
    )
    if (moved.moved > 0) this.#deps.metrics.discarded.inc({ reason: 'operator' }, moved.moved)
    return moved
  }

  /** @param fromMs and `toMs`: when the SETs were acknowledged. */
  async replay(
    receiverId: string,
    fromMs: number,
    toMs: number | undefined,
  ): Promise<Moved & { retainedFrom?: string }> {
    const receiver = await this.#require(receiverId)
    if (this.#deps.limitsOf(receiver).retainAckedMs === 0) {
      throw new TransmitterError('conflict', 'This receiver keeps no acknowledged SETs: set retainAckedMs first.')
    }
    let endMs = toMs
    let moved = 0
    let step: Awaited<ReturnType<SetStore['replay']>>
    do {
      step = await this.#deps.sets.replay(receiverId, fromMs, endMs, STEP)
      moved += step.moved
      // What is acknowledged again while we walk must not be walked again.
      endMs ??= step.nowMs
    } while (step.more && moved < CALL_MAX)
    const remaining = step.more ? await this.#deps.reader.retainedBetween(receiverId, fromMs, endMs) : 0
    const { retainedFromMs } = step
    return {
      moved,
      remaining,
      ...(retainedFromMs === undefined ? {} : { retainedFrom: new Date(retainedFromMs).toISOString() }),
    }
  }

  async #inSteps(
    receiverId: string,
    choice: { jtis: readonly string[] } | { all: true },
    step: (part: Choice) => Promise<Moved>,
  ): Promise<Moved> {
    await this.#require(receiverId)
    let moved = 0
    if ('jtis' in choice) {
      let remaining = 0
      for (let from = 0; from < choice.jtis.length; from += STEP) {
        const answer = await step({ jtis: choice.jtis.slice(from, from + STEP) })
        moved += answer.moved
        remaining = answer.remaining
      }
      return { moved, remaining }
    }
    for (;;) {
      const answer = await step({ all: STEP })
      moved += answer.moved
      if (answer.moved === 0 || answer.remaining === 0 || moved >= CALL_MAX)
        return { moved, remaining: answer.remaining }
    }
  }

  async #require(receiverId: string) {
    const receiver = await this.#deps.registry.receiver(receiverId)
    if (receiver === undefined) throw unknownReceiver()
    return receiver
  }
}
