/**
 * `npm run simulate -- --receivers 10000 --sets-per-second 1000000`: what a load comes to on shards and processes, from
 * measured costs. `--help` says what can be asked; docs/scale.md what it is good for.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { endForUsage } from '../src/cli/usage.ts'
import { atLeastOne } from '../src/cli/values.ts'
import { costsOf } from './simulation/costs.ts'
import { writeDocument } from './simulation/document.ts'
import { COSTS_FILE, readBench, readKept } from './simulation/measured.ts'
import { simulateOutage } from './simulation/outage.ts'
import { planFor, type Wanted } from './simulation/plan.ts'
import { DEFAULTS } from './simulation/scenario.ts'
import { runAndSummarize } from './simulation/summary.ts'
import { checkTable, hotTable, outageTable, planTable, saturationTable } from './simulation/tables.ts'

interface Options {
  receivers: number
  setsPerSecond: number
  zipf: number
  setsPerCall: number
  page: number
  turnaroundMs: number
  polls: number
  networkMs: number
  seconds: number
  seed: number
  shards?: number
  public?: number
  internal?: number
  hot?: number
  outage?: number
  costs?: string
  keep?: true
  docs?: true
  json?: true
}

function notNegative(text: string): number {
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(text)) throw new InvalidArgumentError('It is a number of 0 or more.')
  return Number(text)
}

function aboveZero(text: string): number {
  const value = notNegative(text)
  if (value === 0) throw new InvalidArgumentError('It is a number above 0.')
  return value
}

const values = new Command('simulate')
  .description('Says what a load comes to on shards and processes, from measured costs.')
  .option('--receivers <n>', 'receivers', atLeastOne, 10_000)
  .option('--sets-per-second <n>', 'SETs to all of them', atLeastOne, 1_000_000)
  .option('--zipf <n>', 'how unequally SETs fall to receivers; 0 is all alike', notNegative, DEFAULTS.zipf)
  .option('--sets-per-call <n>', 'of a publish call, to receivers drawn apart', atLeastOne, DEFAULTS.setsPerCall)
  .option('--page <n>', 'SETs of a poll, at the most', atLeastOne, DEFAULTS.pageMax)
  .option('--turnaround-ms <ms>', 'until a receiver that was answered polls again', notNegative, DEFAULTS.turnaroundMs)
  .option('--polls <n>', 'of a receiver at once, at the most', atLeastOne, DEFAULTS.pollsMax)
  .option('--network-ms <ms>', 'one way between two machines', notNegative, DEFAULTS.networkMs)
  .option('--shards <n>', 'instead of what the load needs at 60 %', atLeastOne)
  .option('--public <n>', 'processes of this role, instead of what the load needs', atLeastOne)
  .option('--internal <n>', 'processes of this role, instead of what the load needs', atLeastOne)
  .option('--hot <n>', 'SETs a second to one receiver, instead of its share', aboveZero)
  .option('--outage <seconds>', 'a shard is away for so long', aboveZero)
  .option('--seconds <n>', 'of simulated time', aboveZero, DEFAULTS.seconds)
  .option('--seed <n>', 'repeats a run', atLeastOne, DEFAULTS.seed)
  .option('--costs <file>', 'from `npm run -s bench -- --json > FILE`, instead of bench/costs.json')
  .option('--keep', 'put those costs there')
  .option('--docs', 'write the tables of docs/scale.md')
  .option('--json', 'print JSON')
  .showHelpAfterError()
  .exitOverride(endForUsage)
  .parse()
  .opts<Options>()

const kept = readKept()
const day = new Date().toISOString().slice(0, 10)
const measured = values.costs === undefined ? kept : readBench(readFileSync(values.costs, 'utf8'), kept, day)
if (values.keep) writeFileSync(COSTS_FILE, `${JSON.stringify(measured, undefined, 2)}\n`)
const costs = costsOf(measured.points)
if (values.docs) {
  writeDocument(costs, measured.from)
  process.exit(0)
}

const wanted: Wanted = {
  ...DEFAULTS,
  receivers: values.receivers,
  setsPerSecond: values.setsPerSecond,
  zipf: values.zipf,
  setsPerCall: values.setsPerCall,
  pageMax: values.page,
  turnaroundMs: values.turnaroundMs,
  pollsMax: values.polls,
  networkMs: values.networkMs,
  seconds: values.seconds,
  seed: values.seed,
  ...(values.shards === undefined ? {} : { shards: values.shards }),
  ...(values.public === undefined ? {} : { publicProcesses: values.public }),
  ...(values.internal === undefined ? {} : { internalProcesses: values.internal }),
  ...(values.hot === undefined ? {} : { hotSetsPerSecond: values.hot }),
}
const summary = runAndSummarize(costs, wanted)
const outage = values.outage === undefined ? undefined : simulateOutage(costs, planFor(costs, wanted), values.outage)
if (values.json) {
  console.log(JSON.stringify({ costs: { from: measured.from, ...costs }, ...summary, outage }, undefined, 2))
} else {
  const parts = [
    planTable(costs, [summary]),
    saturationTable(summary),
    ...(values.hot === undefined ? [] : [hotTable([summary])]),
    ...(outage === undefined ? [] : [outageTable([outage])]),
    checkTable(costs),
    `Costs: ${measured.from}.`,
  ]
  console.log(parts.join('\n\n'))
}
