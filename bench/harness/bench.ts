/**
 * What a benchmark is: sides that are measured alternately, and the ratios between them that a budget bounds.
 * One file a benchmark beside this folder; `run.ts` lists them.
 */
import type { Cores } from './cpu.ts'

export interface Sample {
  /** In the unit of the benchmark. */
  readonly value: number
  readonly cores?: Cores
  /** Further figures of the same window, such as latencies; reported as medians. */
  readonly detail?: Readonly<Record<string, number>>
}

export interface Side {
  readonly name: string
  /** Prepares outside the measured window, measures once, and leaves things as they were. */
  measure(): Promise<Sample>
}

export interface Budget {
  readonly ours: string
  /** The other side, or a number to be measured against. */
  readonly against: string | number
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Bench {
  readonly name: string
  readonly what: string
  readonly unit: string
  /** False: the first round counts, as each begins anew. */
  readonly warmUp?: boolean
  /** At most so many rounds, where one takes long or where the figure hardly varies. */
  readonly roundsMax?: number
  /** Instead of it in quick mode. */
  readonly quickRoundsMax?: number
  /** Ratios within a budget; without any the figures are only reported. */
  readonly budgets: readonly Budget[]
  open(setting: Setting): Promise<readonly Side[]>
}

/** What a benchmark is given: how thorough to be, and where to register what must be closed. */
export interface Setting {
  readonly quick: boolean
  /** Extra arguments of the transmitter's Node, such as `--cpu-prof`. */
  readonly nodeArguments: readonly string[]
  /** Runs when the benchmark is over, last registered first. */
  defer(close: () => Promise<void> | void): void
}
