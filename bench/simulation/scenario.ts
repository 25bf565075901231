/** What is simulated. Assumptions that nothing here measures stand here, with their reasons. */
export interface Scenario {
  readonly receivers: number
  readonly setsPerSecond: number
  /** Exponent of Zipf's law for how unequally SETs fall to receivers. */
  readonly zipf: number
  /** SETs of one publish call; to receivers drawn apart, so a script each unless they meet. */
  readonly setsPerCall: number
  readonly pageMax: number
  /** From the end of an answer to the receiver's next poll at the transmitter: its network and its work. */
  readonly turnaroundMs: number
  /** Polls that a receiver has under way at once, at the most; it uses as many as it needs. */
  readonly pollsMax: number
  /** With the one apart, if there is one. */
  readonly shards: number
  /** What all processes read and write is on a shard of its own: the version of the registry, and the jobs. */
  readonly sharedApart: boolean
  readonly publicProcesses: number
  readonly internalProcesses: number
  /** One way between two machines of ours. */
  readonly networkMs: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly seed: number
  /** SETs a second to receiver 0, instead of its share. */
  readonly hotSetsPerSecond?: number
  /** One shard does not answer for so long, in the middle of the time that is simulated; only its receivers are. */
  readonly outageSeconds?: number
}

export const DEFAULTS = {
  zipf: 0.5,
  setsPerCall: 10,
  pageMax: 100,
  turnaroundMs: 20,
  pollsMax: 8,
  networkMs: 0.1,
  seconds: 1,
  warmUpSeconds: 0.5,
  seed: 8936,
} as const

/** SETs a second of each receiver, the most popular first. */
export function ratesOf(
  shares: Float64Array,
  { setsPerSecond, hotSetsPerSecond }: Pick<Scenario, 'setsPerSecond' | 'hotSetsPerSecond'>,
): Float64Array {
  const rates = shares.map(share => share * setsPerSecond)
  if (hotSetsPerSecond !== undefined) rates[0] = hotSetsPerSecond
  return rates
}

/** So many that half a page is enough for what arrives meanwhile. */
export const pollsOf = (rate: number, { turnaroundMs, pageMax, pollsMax }: Scenario): number =>
  Math.min(pollsMax, Math.max(1, Math.ceil((rate * turnaroundMs) / 1000 / (pageMax / 2))))
