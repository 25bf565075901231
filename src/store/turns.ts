/**
 * Calls that take turns, so that who serves them works while who called does. Sent all at once, Redis reads as many as fit
 * its buffer, and answers the first of them behind the last: this process then has nothing to do, and Redis next.
 */
export class Turns {
  readonly #most: number
  readonly #waitMs: number
  #underWay = 0
  readonly #waiting = new Set<() => void>()

  /**
   * @param most calls under way at a time
   * @param waitMs after which a call goes all the same: what does not answer must not be waited for in turns
   */
  constructor(most: number, waitMs: number) {
    this.#most = most
    this.#waitMs = waitMs
  }

  /** @throws what the call throws */
  async run<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    if (this.#underWay < this.#most) this.#underWay += 1
    else await this.#turn()
    try {
      return await call()
    } finally {
      this.#underWay -= 1
      // Before the answer is looked at, which takes as long as the next call does.
      if (this.#underWay < this.#most) this.#oldest()?.()
    }
  }

  #oldest(): (() => void) | undefined {
    return this.#waiting.values().next().value
  }

  #turn(): Promise<void> {
    return new Promise(resolve => {
      const go = () => {
        clearTimeout(timer)
        this.#waiting.delete(go)
        this.#underWay += 1
        resolve()
      }
      const timer = setTimeout(go, this.#waitMs)
      this.#waiting.add(go)
    })
  }
}
