/** What was seen since the console was opened: the interface tells the present only. Pure. */

/** @typedef {import('./types.d.ts').Sample} Sample */
/** @typedef {import('./types.d.ts').Stats} Stats */

/** At one look every two seconds, half an hour. */
const SAMPLES_MAX = 900
/** Rates are of so long a time: shorter ones jump about. */
const RATE_WINDOW_MS = 12_000

/**
 * @param {Omit<Stats, 'receiver' | 'status' | 'lastPollAt'>} stats
 * @param {number} atMs
 * @returns {Sample}
 */
export function sampleOf({ queued, inFlight, owedAgain, parked, published, delivered, acked }, atMs) {
  return { atMs, queued, inFlight, owedAgain, parked, published, delivered, acked }
}

/** @param {Pick<Sample, 'queued' | 'inFlight' | 'owedAgain'>} held */
export function depthOf({ queued, inFlight, owedAgain }) {
  return queued + inFlight + owedAgain
}

/** Samples by name of the receiver; those of all together are kept under ''. */
export class History {
  /** @type {Map<string, Sample[]>} */
  #samples = new Map()

  /**
   * @param {string} name
   * @param {Sample} sample
   */
  add(name, sample) {
    const samples = this.of(name)
    if (samples.length === 0) this.#samples.set(name, samples)
    samples.push(sample)
    if (samples.length > SAMPLES_MAX) samples.shift()
  }

  /**
   * @param {string} name
   * @returns {Sample[]}
   */
  of(name) {
    return this.#samples.get(name) ?? []
  }
}

/**
 * @param {readonly Sample[]} samples
 * @param {'published' | 'delivered' | 'acked'} total
 * @returns {number | undefined} a second; undefined until it can be told
 */
export function rateOf(samples, total) {
  const last = samples.at(-1)
  if (last === undefined) return undefined
  const first = samples.find(({ atMs }) => atMs >= last.atMs - RATE_WINDOW_MS)
  if (first === undefined || first === last) return undefined
  // A receiver that was deleted takes its totals with it.
  return Math.max(0, ((last[total] - first[total]) * 1000) / (last.atMs - first.atMs))
}
