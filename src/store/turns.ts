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
   * @param most sizes under way, added up, from which on calls wait
   * @param waitMs after which a call goes all the same: what does not answer must not be waited for in turns
   */
  constructor(most: number, waitMs: number) {
    this.#most = most
    this.#waitMs = waitMs
  }

  /** @throws what the call throws */
  async run<Answer>(size: number, call: () => Promise<Answer>): Promise<Answer> {
    if (this.#underWay < this.#most) this.#underWay += size
    else await this.#turn(size)
    try {
      return await call()
    } finally {
      this.#underWay -= size
      // Before the answer is looked at, which takes as long as the next call does.
      for (const go of this.#waiting) {
        if (this.#underWay >= this.#most) break
        go()
      }
    }
  }

  #turn(size: number): Promise<void> {
    return new Promise(resolve => {
      const go = () => {
        clearTimeout(timer)
        this.#waiting.delete(go)
        this.#underWay += size
        resolve()
      }
      const timer = setTimeout(go, this.#waitMs)
      this.#waiting.add(go)
    })
  }
}
