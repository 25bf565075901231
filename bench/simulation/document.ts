/** The tables of docs/scale.md, each between `<!-- simulate: name -->` and `<!-- end -->`. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Costs } from './costs.ts'
import { simulateOutage } from './outage.ts'
import { planFor } from './plan.ts'
import { DEFAULTS } from './scenario.ts'
import { runAndSummarize } from './summary.ts'
import {
  callsTable,
  checkTable,
  costsTable,
  hotTable,
  limitTable,
  outageTable,
  planTable,
  saturationTable,
  skewTable,
  turnaroundTable,
} from './tables.ts'

const DOCUMENT = new URL('../../docs/scale.md', import.meta.url)
const SMALL = { ...DEFAULTS, receivers: 10_000, setsPerSecond: 100_000 }
const LARGE = { ...DEFAULTS, receivers: 10_000, setsPerSecond: 1_000_000 }

export function documentTables(costs: Costs): Readonly<Record<string, string>> {
  const run = (wanted: Parameters<typeof runAndSummarize>[1]) => runAndSummarize(costs, wanted)
  const large = run(LARGE)
  const { shards, sharedApart, publicProcesses, internalProcesses } = large.scenario
  const sized = { ...LARGE, shards, sharedApart, publicProcesses, internalProcesses }
  const outageAt = (share: number, seconds: number) => {
    const plan = planFor(costs, { ...LARGE, shards: Math.round((shards * 0.6) / share) })
    return simulateOutage(costs, plan, seconds)
  }
  return {
    check: checkTable(costs),
    costs: costsTable(costs),
    plan: planTable(costs, [run(SMALL), large]),
    saturation: saturationTable(large),
    skew: skewTable([0, 0.3, 0.5, 0.7, 0.9].map(zipf => run({ ...sized, zipf }))),
    turnaround: turnaroundTable([5, 20, 100, 500].map(turnaroundMs => run({ ...LARGE, turnaroundMs }))),
    calls: callsTable(costs, [
      ...[1, 10, 100].map(setsPerCall => run({ ...LARGE, setsPerCall })),
      // A call takes one process a second or so: a longer look.
      run({ ...LARGE, setsPerCall: 10_000, seconds: 3, warmUpSeconds: 3 }),
    ]),
    limit: limitTable(costs),
    hot: hotTable(
      [1000, 3000, 10_000, 30_000].map(hotSetsPerSecond => run({ ...SMALL, hotSetsPerSecond, pollsMax: 32 })),
    ),
    outage: outageTable([outageAt(0.5, 6), outageAt(0.6, 6), outageAt(0.6, 20), outageAt(0.8, 6)]),
  }
}

/** @param from when the costs were measured, and on what. */
export function writeDocument(costs: Costs, from: string): void {
  const tables: Record<string, string> = { ...documentTables(costs), from: `Costs: ${from}.` }
  const text = readFileSync(DOCUMENT, 'utf8')
  const written = text.replace(/(<!-- simulate: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name: string, end) => {
    const made = tables[name]
    if (made === undefined) throw new Error(`docs/scale.md asks for a table ${name} that is not made`)
    return `${begin}\n${made}\n\n${end}`
  })
  writeFileSync(DOCUMENT, written)
}
