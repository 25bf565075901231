/** One receiver's SETs in Redis, by when they were published. Oldest first. */
export class Queue {
  #times: number[] = []
  #first = 0

  get length(): number {
    return this.#times.length - this.#first
  }

  add(publishedAtUs: number): void {
    this.#times.push(publishedAtUs)
  }

  take(count: number): number[] {
    const taken = this.#times.slice(this.#first, this.#first + count)
    this.#first += taken.length
    // What was taken is let go of once it is most of the list.
    if (this.#first > 64 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first)
      this.#first = 0
    }
    return taken
  }
}
