/**
 * Measures the sides of a benchmark alternately, so that what changes on the machine in the meantime meets all of them,
 * and turns the rounds into medians and ratios.
 */
import type { Bench, Sample, Setting, Side } from './bench.ts'
import { type Cores, untilQuiet } from './cpu.ts'
import { quantile, type Summary, summarize } from './statistics.ts'

export interface SideResult extends Summary {
  readonly name: string
  /** Medians over the rounds. */
  readonly cores: Cores
  readonly detail: Readonly<Record<string, number>>
  readonly rounds: readonly number[]
}

export interface BudgetResult {
  readonly ours: string
  readonly against: string | number
  /** Median of the ratios of the rounds, and their spread. */
  readonly ratio: Summary
  readonly atLeast?: number
  readonly atMost?: number
  readonly met: boolean
}

export interface BenchResult {
  readonly name: string
  readonly what: string
  readonly unit: string
  readonly sides: readonly SideResult[]
  readonly budgets: readonly BudgetResult[]
  readonly disturbedRounds: number
  /** How long measuring took, with all preparation. */
  readonly seconds: number
}

/** Cores that other programs may take before a round is measured again. */
const DISTURBED_CORES = 0.25

export async function measure(
  bench: Bench,
  setting: Setting,
  rounds: number,
  progress: (text: string) => void,
): Promise<BenchResult> {
  const startedMs = performance.now()
  const sides = await bench.open(setting)
  // Nobody is held to these: what they tell in a hurry is an order of magnitude.
  const isHurried = setting.quick && bench.budgets.length === 0
  if (bench.warmUp !== false && !isHurried) {
    for (const side of sides) {
      progress(`${bench.name}: warm-up, ${side.name}`)
      await side.measure()
    }
  }
  const roundsMax = (setting.quick ? bench.quickRoundsMax : undefined) ?? bench.roundsMax ?? rounds
  const wanted = isHurried ? 1 : Math.min(rounds, roundsMax)
  const samples: Sample[][] = sides.map(() => [])
  let disturbed = 0
  let repeats = setting.quick ? 1 : wanted
  for (let round = 0; round < wanted; round++) {
    progress(`${bench.name}: round ${round + 1} of ${wanted}`)
    const taken = await measureOnce(sides, round)
    if (taken.some(sample => (sample.cores?.others ?? 0) > DISTURBED_CORES)) {
      if (repeats > 0) {
        repeats -= 1
        round -= 1
        progress(`${bench.name}: waiting for other programs`)
        await untilQuiet(setting.quick ? 3000 : 30_000)
        continue
      }
      disturbed += 1
    }
    for (const [at, sample] of taken.entries()) samples[at]!.push(sample)
  }
  return {
    name: bench.name,
    what: bench.what,
    unit: bench.unit,
    sides: sides.map((side, at) => summarizeSide(side.name, samples[at]!)),
    budgets: bench.budgets.map(budget => {
      const ratios = valuesOf(budget.ours).map((value, round) => value / otherValue(budget.against, round))
      const ratio = summarize(ratios)
      const met = ratio.median >= (budget.atLeast ?? 0) && ratio.median <= (budget.atMost ?? Number.POSITIVE_INFINITY)
      return { ...budget, ratio, met }
    }),
    disturbedRounds: disturbed,
    seconds: (performance.now() - startedMs) / 1000,
  }

  function otherValue(against: string | number, round: number): number {
    return typeof against === 'number' ? against : valuesOf(against)[round]!
  }

  function valuesOf(name: string): number[] {
    const at = sides.findIndex(side => side.name === name)
    if (at < 0) throw new Error(`${bench.name} has no side ${name}`)
    return samples[at]!.map(sample => sample.value)
  }
}

/** Every second round goes backwards: going first is then nobody's advantage. */
async function measureOnce(sides: readonly Side[], round: number): Promise<Sample[]> {
  const taken: Sample[] = new Array(sides.length)
  const order = sides.map((_, at) => (round % 2 === 0 ? at : sides.length - 1 - at))
  for (const at of order) taken[at] = await sides[at]!.measure()
  return taken
}

function summarizeSide(name: string, samples: readonly Sample[]): SideResult {
  const rounds = samples.map(sample => sample.value)
  return {
    name,
    ...summarize(rounds),
    cores: medians(samples.map(sample => sample.cores ?? {})),
    detail: medians(samples.map(sample => sample.detail ?? {})),
    rounds,
  }
}

function medians(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const result: Record<string, number> = {}
  for (const name of Object.keys(records[0] ?? {})) {
    result[name] = quantile(
      records.map(record => record[name] ?? Number.NaN),
      0.5,
    )
  }
  return result
}
