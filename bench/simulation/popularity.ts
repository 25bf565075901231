/** How unequally SETs fall to receivers. Pure. */
import type { Random } from '../../chaos/random.ts'

/** Shares of the receivers by Zipf's law: the k-th most popular has 1/k^exponent of the first; 0 is all alike. */
export function zipf(count: number, exponent: number): Float64Array {
  const shares = Float64Array.from({ length: count }, (_, at) => (at + 1) ** -exponent)
  const sum = shares.reduce((total, share) => total + share, 0)
  return shares.map(share => share / sum)
}

/** Draws by given shares in constant time: the alias method of Walker and Vose. */
export class Draw {
  readonly #random: Random
  readonly #keep: Float64Array
  readonly #other: Int32Array

  constructor(shares: Float64Array, random: Random) {
    this.#random = random
    const scaled = shares.map(share => share * shares.length)
    this.#keep = new Float64Array(shares.length).fill(1)
    this.#other = Int32Array.from(shares, (_, at) => at)
    const small: number[] = []
    const large: number[] = []
    for (const [at, share] of scaled.entries()) (share < 1 ? small : large).push(at)
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!
      const more = large.at(-1)!
      this.#keep[less] = scaled[less]!
      this.#other[less] = more
      scaled[more]! -= 1 - scaled[less]!
      if (scaled[more]! < 1) small.push(large.pop()!)
    }
  }

  next(): number {
    const at = Math.floor(this.#random.next() * this.#keep.length)
    return this.#random.next() < this.#keep[at]! ? at : this.#other[at]!
  }
}
