/** `npm run bench`: measures the budgets of the design, each against its yardstick in the same run. `--help` says more. */

import { cpus, totalmem } from 'node:os'
import { Argument, Command } from 'commander'
import { endForUsage } from '../src/cli/usage.ts'
import { atLeastOne } from '../src/cli/values.ts'
import { commands } from './commands.ts'
import { confirmDrain, confirmPublish } from './confirm.ts'
import { drainFlat } from './drain-flat.ts'
import { drainPage1 } from './drain-page-1.ts'
import { drainPage100 } from './drain-page-100.ts'
import { fanOut } from './fan-out.ts'
import { type BenchResult, measure } from './harness/alternate.ts'
import type { Bench, Setting } from './harness/bench.ts'
import { renderBench, renderSummary } from './harness/report.ts'
import { heldIdle } from './held-idle.ts'
import { heldLatency } from './held-latency.ts'
import { heldMemory } from './held-memory.ts'
import { jobs } from './jobs.ts'
import { loadLimit } from './load-limit.ts'
import { processes } from './processes.ts'
import { publishBatch } from './publish-batch.ts'
import { publishOne } from './publish-one.ts'
import { receivers } from './receivers.ts'
import { redisBytes } from './redis-bytes.ts'
import { registrySize } from './registry-size.ts'
import { spread } from './spread.ts'
import { startTime } from './start-time.ts'
import { wireBytes } from './wire-bytes.ts'

const benches: readonly Bench[] = [
  drainPage100,
  drainPage1,
  publishOne,
  publishBatch,
  heldLatency,
  heldMemory,
  drainFlat,
  redisBytes,
  registrySize,
  commands,
  fanOut,
  receivers,
  processes,
  confirmPublish,
  confirmDrain,
  startTime,
  heldIdle,
  spread,
  wireBytes,
  jobs,
  loadLimit,
]

const ROUNDS = 5
const QUICK_ROUNDS = 2

interface Options {
  quick?: true
  json?: true
  check?: true
  list?: true
  rounds?: number
  profile?: string
}

const command = new Command('bench')
  .description('Measures the budgets of the design, each against its yardstick in the same run.')
  .addArgument(new Argument('[name...]', 'what is measured; all without').choices(benches.map(({ name }) => name)))
  .option('--quick', `${QUICK_ROUNDS} short alternations each, not ${ROUNDS} long ones`)
  .option('--check', 'end with 1 when a budget is missed')
  .option('--json', 'print JSON')
  .option('--list', 'say what there is')
  .option('--rounds <n>', 'alternations', atLeastOne)
  .option('--profile <directory>', 'put processor profiles of the transmitter there')
  .showHelpAfterError()
  .exitOverride(endForUsage)
  .parse()
const options = command.opts<Options>()
const names = command.args

if (options.list) {
  for (const bench of benches) console.log(`${bench.name.padEnd(20)} ${bench.what}`)
  process.exit()
}
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

const say = (text: string) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`)
const results: BenchResult[] = []
let failures = 0
const startedMs = performance.now()
for (const bench of benches) {
  if (names.length > 0 && !names.includes(bench.name)) continue
  const result = await run(bench).catch((error: unknown) => error as Error)
  say('')
  if (result instanceof Error) {
    failures += 1
    console.error(`${bench.name} could not be measured: ${result.message}\n`)
    continue
  }
  results.push(result)
  if (!options.json) console.log(`${renderBench(result)}\n`)
}
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryBytes: totalmem(),
  system: `${process.platform} ${process.arch}`,
  node: process.version,
}
if (options.json) {
  console.log(JSON.stringify({ machine, mode: options.quick ? 'quick' : 'full', results }, undefined, 2))
} else {
  console.log(renderSummary(results))
  console.log(
    `\n${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ${options.quick ? 'quick' : 'full'} mode, ${Math.round((performance.now() - startedMs) / 1000)} s`,
  )
}
if (failures > 0) process.exitCode = 1
if (options.check && results.some(result => result.budgets.some(budget => !budget.met))) process.exitCode = 1

async function run(bench: Bench): Promise<BenchResult> {
  const closers: (() => Promise<void> | void)[] = []
  const setting: Setting = {
    quick: options.quick === true,
    nodeArguments: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`],
    defer: close => closers.push(close),
  }
  try {
    return await measure(bench, setting, options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS), say)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}
