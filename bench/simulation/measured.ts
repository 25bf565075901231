/**
 * Measured figures, as `npm run bench -- --json` writes them and as `bench/costs.json` keeps those that the simulation
 * needs.
 */
import { readFileSync } from 'node:fs'
import type { BenchResult } from '../harness/alternate.ts'

export interface Point {
  /** In the unit of the benchmark. */
  readonly value: number
  /** Microseconds of each process for one unit; of rates only. */
  readonly us?: Readonly<Record<string, number>>
  /** Cores that each process used. */
  readonly cores?: Readonly<Record<string, number>>
  readonly detail?: Readonly<Record<string, number>>
}

/** By benchmark and side. */
export type Points = Readonly<Record<string, Readonly<Record<string, Point>>>>

export interface Measured {
  /** When, on what, by which mode of the benchmark. */
  readonly from: string
  readonly points: Points
}

interface BenchOutput {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string }
  readonly mode: string
  readonly results: readonly BenchResult[]
}

/** What is kept of each benchmark; `detail` only where it is needed. */
const NEEDED: Readonly<Record<string, { readonly detail?: boolean }>> = {
  'drain-page-100': {},
  'drain-page-1': {},
  'publish-one': {},
  'publish-batch': {},
  'fan-out': {},
  'confirm-drain': {},
  spread: {},
  'redis-bytes': {},
  'wire-bytes': { detail: true },
  jobs: {},
}

export const COSTS_FILE = new URL('../costs.json', import.meta.url)

export const readKept = (): Measured => JSON.parse(readFileSync(COSTS_FILE, 'utf8')) as Measured

/** Of what the benchmark wrote, behind whatever npm wrote first; what it did not measure is taken from what is kept. */
export function readBench(text: string, kept: Measured, day: string): Measured {
  const { machine, mode, results } = JSON.parse(text.slice(text.indexOf('{'))) as BenchOutput
  const points: Record<string, Record<string, Point>> = {}
  for (const { name, unit, sides } of results) {
    const needed = NEEDED[name]
    if (needed === undefined) continue
    points[name] = Object.fromEntries(
      sides.map(({ name: side, median, cores, detail }) => [
        side,
        {
          value: rounded(median),
          ...(unit.endsWith('/s') ? perUnit(cores, median) : {}),
          ...(needed.detail ? { detail: mapped(detail, rounded) } : {}),
        },
      ]),
    )
  }
  const missing = Object.keys(NEEDED).filter(name => points[name] === undefined)
  const rest = missing.length === 0 ? '' : `; ${missing.join(', ')} from before: ${kept.from}`
  return {
    from: `${day}, ${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ${mode} mode${rest}`,
    points: { ...kept.points, ...points },
  }
}

function perUnit({ others: _, ...cores }: Readonly<Record<string, number>>, rate: number): Pick<Point, 'us' | 'cores'> {
  return { us: mapped(cores, used => rounded((used / rate) * 1e6)), cores: mapped(cores, rounded) }
}

const mapped = (record: Readonly<Record<string, number>>, change: (value: number) => number) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))

/** Four digits: more than a benchmark can promise. */
const rounded = (value: number) => Number(value.toPrecision(4))
