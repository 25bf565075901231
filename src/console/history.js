/** What was seen since the console was opened: the interface tells the present only. Pure. */

/** @typedef {import('./types.d.ts').Sample} Sample */
/** @typedef {import('./types.d.ts').Stats} Stats */

/** At one look every two seconds, half an hour. */
const SAMPLES_MAX = 900
/** Of all receivers together: thousands of them are remembered for a shorter time. */
const SAMPLES_IN_ALL = 200_000
/** Rates are of so long a time at least: shorter ones jump about. */
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
   * @param {number} [names] how many there are beside this one
   */
  add(name, sample, names = 1) {
    const samples = this.of(name)
    if (samples.length === 0) this.#samples.set(name, samples)
    samples.push(sample)
    const most = Math.max(2, Math.min(SAMPLES_MAX, Math.floor(SAMPLES_IN_ALL / names)))
    while (samples.length > most) samples.shift()
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
  const recent = samples.find(({ atMs }) => atMs >= last.atMs - RATE_WINDOW_MS)
  // Looks may be further apart than that.
  const first = recent === last ? samples.at(-2) : recent
  if (first === undefined) return undefined
  // A receiver that was deleted takes its totals with it.
  return Math.max(0, ((last[total] - first[total]) * 1000) / (last.atMs - first.atMs))
}
