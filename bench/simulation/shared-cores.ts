/**
 * Processes that share fewer cores than they are: each does one thing after the other, and those that have something to
 * do get equal shares, never more than a core each.
 */
import type { Clock } from './clock.ts'

interface Work {
  leftUs: number
  readonly done: () => void
}

export class SharedCores {
  readonly #clock: Clock
  readonly #cores: number
  readonly #busy: Work[][] = []
  #lastUs = 0
  #turn = 0

  constructor(clock: Clock, cores: number) {
    this.#clock = clock
    this.#cores = cores
  }

  /** @returns what adds work to a new process. */
  process(): (workUs: number, done: () => void) => void {
    const queue: Work[] = []
    return (workUs, done) => {
      this.#progress()
      queue.push({ leftUs: workUs, done })
      if (queue.length === 1) this.#busy.push(queue)
      this.#plan()
    }
  }

  get #speed(): number {
    return Math.min(1, this.#cores / this.#busy.length)
  }

  #progress(): void {
    const doneUs = (this.#clock.nowUs - this.#lastUs) * this.#speed
    for (const [first] of this.#busy) first!.leftUs -= doneUs
    this.#lastUs = this.#clock.nowUs
  }

  /** What was planned before is void: it has another turn. */
  #plan(): void {
    if (this.#busy.length === 0) return
    this.#turn += 1
    const turn = this.#turn
    const leftUs = Math.min(...this.#busy.map(([first]) => first!.leftUs))
    this.#clock.at(this.#clock.nowUs + Math.max(0, leftUs) / this.#speed, () => turn === this.#turn && this.#complete())
  }

  #complete(): void {
    this.#progress()
    const ended: Work[] = []
    for (const queue of [...this.#busy]) {
      if (queue[0]!.leftUs > 1e-6) continue
      ended.push(queue.shift()!)
      if (queue.length === 0) this.#busy.splice(this.#busy.indexOf(queue), 1)
    }
    this.#plan()
    for (const { done } of ended) done()
  }
}
