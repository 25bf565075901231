/** Simulated time in microseconds, and what is to happen when: a binary heap. Nothing here waits. */
export class Clock {
  #nowUs = 0
  readonly #times: number[] = []
  readonly #actions: (() => void)[] = []

  get nowUs(): number {
    return this.#nowUs
  }

  at(timeUs: number, action: () => void): void {
    const times = this.#times
    const actions = this.#actions
    let at = times.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (times[parent]! <= timeUs) break
      times[at] = times[parent]!
      actions[at] = actions[parent]!
      at = parent
    }
    times[at] = timeUs
    actions[at] = action
  }

  /** Everything due up to then; what comes later stays. */
  runUntil(endUs: number): void {
    while (this.#times.length > 0 && this.#times[0]! <= endUs) {
      this.#nowUs = this.#times[0]!
      this.#takeFirst()()
    }
    this.#nowUs = endUs
  }

  #takeFirst(): () => void {
    const times = this.#times
    const actions = this.#actions
    const first = actions[0]!
    const time = times.pop()!
    const action = actions.pop()!
    const length = times.length
    if (length === 0) return first
    let at = 0
    for (let child = 1; child < length; child = at * 2 + 1) {
      if (child + 1 < length && times[child + 1]! < times[child]!) child += 1
      if (times[child]! >= time) break
      times[at] = times[child]!
      actions[at] = actions[child]!
      at = child
    }
    times[at] = time
    actions[at] = action
    return first
  }
}
