/**
 * `npm run simulate -- --receivers 10000 --sets-per-second 1000000`: what a load comes to on shards and processes, from
 * measured costs. `--help` says what can be asked; docs/scale.md what it is good for.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { costsOf } from './simulation/costs.ts'
import { writeDocument } from './simulation/document.ts'
import { COSTS_FILE, readBench, readKept } from './simulation/measured.ts'
import { simulateOutage } from './simulation/outage.ts'
import { planFor, type Wanted } from './simulation/plan.ts'
import { DEFAULTS } from './simulation/scenario.ts'
import { runAndSummarize } from './simulation/summary.ts'
import { checkTable, hotTable, outageTable, planTable, saturationTable } from './simulation/tables.ts'

const number = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    receivers: { ...number, default: '10000' },
    'sets-per-second': { ...number, default: '1000000' },
    zipf: { ...number, default: String(DEFAULTS.zipf) },
    'sets-per-call': { ...number, default: String(DEFAULTS.setsPerCall) },
    page: { ...number, default: String(DEFAULTS.pageMax) },
    'turnaround-ms': { ...number, default: String(DEFAULTS.turnaroundMs) },
    polls: { ...number, default: String(DEFAULTS.pollsMax) },
    'network-ms': { ...number, default: String(DEFAULTS.networkMs) },
    seconds: { ...number, default: String(DEFAULTS.seconds) },
    seed: { ...number, default: String(DEFAULTS.seed) },
    shards: number,
    public: number,
    internal: number,
    hot: number,
    outage: number,
    costs: { type: 'string' },
    keep: { type: 'boolean', default: false },
    docs: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(`npm run simulate -- [--receivers 10000] [--sets-per-second 1000000]
  --zipf ${DEFAULTS.zipf}           how unequally SETs fall to receivers; 0 is all alike
  --sets-per-call ${DEFAULTS.setsPerCall}   of a publish call, to receivers drawn apart
  --page ${DEFAULTS.pageMax}           SETs of a poll, at the most
  --turnaround-ms ${DEFAULTS.turnaroundMs}   until a receiver that was answered polls again
  --polls ${DEFAULTS.pollsMax}            of a receiver at once, at the most
  --network-ms ${DEFAULTS.networkMs}     one way between two machines
  --shards, --public, --internal N   instead of what the load needs at 60 %
  --hot N              SETs a second to one receiver, instead of its share
  --outage N           a shard is away for so many seconds
  --seconds ${DEFAULTS.seconds}          of simulated time; --seed ${DEFAULTS.seed} repeats a run
  --costs FILE         from \`npm run bench -- --json > FILE\`, instead of bench/costs.json; --keep puts them there
  --docs               writes the tables of docs/scale.md
  --json               for programs`)
  process.exit(0)
}

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
  receivers: Number(values.receivers),
  setsPerSecond: Number(values['sets-per-second']),
  zipf: Number(values.zipf),
  setsPerCall: Number(values['sets-per-call']),
  pageMax: Number(values.page),
  turnaroundMs: Number(values['turnaround-ms']),
  pollsMax: Number(values.polls),
  networkMs: Number(values['network-ms']),
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  ...(values.shards === undefined ? {} : { shards: Number(values.shards) }),
  ...(values.public === undefined ? {} : { publicProcesses: Number(values.public) }),
  ...(values.internal === undefined ? {} : { internalProcesses: Number(values.internal) }),
  ...(values.hot === undefined ? {} : { hotSetsPerSecond: Number(values.hot) }),
}
const summary = runAndSummarize(costs, wanted)
const outage =
  values.outage === undefined ? undefined : simulateOutage(costs, planFor(costs, wanted), Number(values.outage))
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
