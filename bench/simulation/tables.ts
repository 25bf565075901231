/** Results as tables in Markdown: for a terminal, and for docs/scale.md. */
import { MEASURED_DRAINS, simulateDrain } from './check.ts'
import type { Costs } from './costs.ts'
import { receiverLimit } from './limits.ts'
import type { Outage } from './outage.ts'
import { ASSUMED } from './resources.ts'
import type { Summary } from './summary.ts'

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Three digits, thousands apart. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1000) {
    const digits = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 2)
    return (Math.round(value / digits) * digits).toLocaleString('en').replaceAll(',', ' ')
  }
  return Number(value.toPrecision(value < 0.1 ? 1 : value < 10 ? 2 : 3)).toString()
}

const percent = (share: number) => `${figure(share * 100)} %`
const gigabits = (bits: number) => `${figure(bits / 1e9)} Gbit/s`
const gigabytes = (bytes: number) => `${figure(bytes / 1e9)} GB`
const milliseconds = (ms: number) => (ms >= 1000 ? `${figure(ms / 1000)} s` : `${figure(ms)} ms`)

export function checkTable(costs: Costs): string {
  return table(
    ['16 receivers, one process, one Redis, two cores', 'measured', 'simulated', ''],
    MEASURED_DRAINS.map(drain => {
      const measured = drain.measured(costs)
      const simulated = simulateDrain(costs, drain)
      return [
        `\`${drain.name}\``,
        `${figure(measured)} SETs/s`,
        `${figure(simulated)} SETs/s`,
        `${simulated < measured ? '−' : '+'}${figure((Math.abs(simulated - measured) / measured) * 100)} %`,
      ]
    }),
  )
}

export function costsTable({ single, spread, withReplica, epochRead, job }: Costs): string {
  const us = (value: number) => `${figure(value)} µs`
  const row = (what: string, of: (costs: Costs['single']) => number) => [what, us(of(single)), us(of(spread))]
  return table(
    ['what', 'one Redis, one connection', 'many connections, as in a cluster'],
    [
      row('publish: a call', costs => costs.publish.call),
      row('publish: a SET of it, most of it signing', costs => costs.publish.set),
      row('publish: a receiver of it', costs => costs.publish.script),
      row('Redis, append: a script', costs => costs.append.script),
      row('Redis, append: a SET of it', costs => costs.append.set),
      row('poll: a call', costs => costs.poll.transmitter.call),
      row('poll: a SET of it', costs => costs.poll.transmitter.set),
      row('Redis, poll: a script', costs => costs.poll.redis.script),
      row('Redis, poll: a SET handed out and acknowledged', costs => costs.poll.redis.set),
      ['Redis, all of it, with a replica that is waited for', '', `× ${figure(withReplica.master)}`],
      ['the replica, by what its master does', '', `× ${figure(withReplica.replica)}`],
      ['Redis, reading the version of the registry', '', us(epochRead)],
      ['Redis, a job of the workers', us(job.redis), ''],
    ],
  )
}

/** Plans side by side. */
export function planTable(costs: Costs, summaries: readonly Summary[]): string {
  const rows: [string, (summary: Summary) => string][] = [
    [
      'shards: masters, each with two replicas',
      ({ scenario }) => String(scenario.shards) + (scenario.sharedApart ? ', one of them for what all share' : ''),
    ],
    ['public processes', ({ scenario }) => String(scenario.publicProcesses)],
    ['internal processes', ({ scenario }) => String(scenario.internalProcesses)],
    [
      'worker processes',
      ({ resources }) => `${Math.max(2, Math.ceil(resources.jobs.workerCores / 0.6))}, for one to be left`,
    ],
    [
      'cores: masters, replicas, transmitters',
      ({ scenario: { shards, publicProcesses, internalProcesses } }) =>
        `${shards} + ${shards * ASSUMED.replicas} + ${publicProcesses + internalProcesses}`,
    ],
    ['busy: shards, median and fullest', ({ shards }) => `${percent(shards.median)}, ${percent(shards.fullest)}`],
    ['busy: a replica', ({ resources }) => percent(resources.replicaUtilisation)],
    ['the fullest, if slots are moved by what they cost', ({ shards }) => percent(shards.fullestWhenMoved)],
    [
      'busy: public, internal processes, median',
      summary => `${percent(summary.publicProcesses.median)}, ${percent(summary.internalProcesses.median)}`,
    ],
    ['publish → delivery, p50, p99', ({ delayMs }) => `${milliseconds(delayMs.p50)}, ${milliseconds(delayMs.p99)}`],
    ['SETs an answered poll', ({ setsPerPoll }) => figure(setsPerPoll)],
    [
      'queued, in flight, at the most, on a shard',
      ({ shards }) => `${figure(shards.queuedMax)}, ${figure(shards.inFlightMax)} SETs`,
    ],
    [
      'memory a shard: noted jtis, receivers that are away, in all',
      ({ resources: { memory } }) =>
        `${gigabytes(memory.noted)}, ${gigabytes(memory.away)}, ${gigabytes(memory.total)}`,
    ],
    ['while nobody polls, memory grows by', ({ resources }) => `${gigabytes(resources.memoryAMinute)} a minute in all`],
    [
      'network of a master: in, out',
      ({ resources: { bits } }) => `${gigabits(bits.shardIn)}, ${gigabits(bits.shardOut)}`,
    ],
    [
      'network of a public process: in, out',
      ({ resources: { bits } }) => `${gigabits(bits.publicIn)}, ${gigabits(bits.publicOut)}`,
    ],
    [
      'network of an internal process: in, out',
      ({ resources: { bits } }) => `${gigabits(bits.internalIn)}, ${gigabits(bits.internalOut)}`,
    ],
    ['to all receivers', ({ resources: { bits } }) => gigabits(bits.toReceivers)],
    ['append-only file of a shard', ({ resources }) => `${figure(resources.diskBytes / 1e6)} MB/s`],
    ['connections of processes to a shard', ({ resources }) => figure(resources.connectionsPerShard)],
    [
      'reads of the version of the registry',
      summary =>
        `${figure(summary.epochReadsPerSecond)}/s, ${figure((summary.epochReadsPerSecond * costs.epochRead) / 1e6)} cores of one Redis`,
    ],
    [
      'jobs of the workers',
      ({ resources: { jobs } }) => `${figure(jobs.perSecond)}/s, ${figure(jobs.redisCores)} cores of one Redis`,
    ],
    [
      'snapshot for metrics',
      ({ resources }) => `${figure(resources.snapshot.redisCores)} cores of Redis, over all shards`,
    ],
  ]
  return table(
    ['', ...summaries.map(({ scenario }) => `${figure(scenario.setsPerSecond)} SETs/s`)],
    rows.map(([what, of]) => [what, ...summaries.map(of)]),
  )
}

export function saturationTable({ saturation }: Summary): string {
  return table(
    ['what', 'busy', 'full at so many times the load'],
    saturation.map(({ what, utilisation }) => [what, percent(utilisation), figure(1 / utilisation)]),
  )
}

export function skewTable(summaries: readonly Summary[]): string {
  return table(
    [
      'exponent of Zipf',
      'the most popular receiver',
      'of a core of Redis',
      'fullest shard',
      'if slots are moved',
      'p99',
      'p99 of the most popular',
    ],
    summaries.map(({ scenario, hot, shards, delayMs }) => [
      String(scenario.zipf),
      `${figure(hot.setsPerSecond)} SETs/s`,
      percent(hot.cores),
      percent(shards.fullest),
      percent(shards.fullestWhenMoved),
      milliseconds(delayMs.p99),
      milliseconds(hot.delayMs.p99),
    ]),
  )
}

export function turnaroundTable(summaries: readonly Summary[]): string {
  return table(
    ['polls again after', 'SETs an answered poll', 'shards', 'public processes', 'p50', 'p99'],
    summaries.map(({ scenario, setsPerPoll, delayMs }) => [
      `${scenario.turnaroundMs} ms`,
      figure(setsPerPoll),
      String(scenario.shards),
      String(scenario.publicProcesses),
      milliseconds(delayMs.p50),
      milliseconds(delayMs.p99),
    ]),
  )
}

export function callsTable(costs: Costs, summaries: readonly Summary[]): string {
  return table(
    [
      'SETs a publish call',
      'shards',
      'internal processes',
      'publish → delivery, p50, p99',
      'reads of the version, cores of one Redis',
    ],
    summaries.map(({ scenario, epochReadsPerSecond, delayMs }) => [
      figure(scenario.setsPerCall),
      String(scenario.shards),
      String(scenario.internalProcesses),
      `${milliseconds(delayMs.p50)}, ${milliseconds(delayMs.p99)}`,
      `${figure(epochReadsPerSecond)}/s, ${figure((epochReadsPerSecond * costs.epochRead) / 1e6)}`,
    ]),
  )
}

export function limitTable(costs: Costs): string {
  return table(
    ['SETs an append', 'SETs a page', 'of one receiver, at the most'],
    [
      [1, 1],
      [1, 100],
      [10, 100],
      [100, 100],
      [100, 1000],
    ].map(([appended, page]) => {
      const { setsPerSecond } = receiverLimit(costs, appended!, page!)
      return [String(appended), String(page), `${figure(setsPerSecond)} SETs/s`]
    }),
  )
}

export function hotTable(summaries: readonly Summary[]): string {
  return table(
    [
      'published to it',
      'delivered',
      'its shard is busy',
      'its p50, p99',
      'waiting for it after a second',
      'p99 of all',
    ],
    summaries.map(({ hot, delayMs }) => [
      `${figure(hot.setsPerSecond)} SETs/s`,
      `${figure(hot.deliveredPerSecond)} SETs/s`,
      percent(hot.shardUtilisation),
      `${milliseconds(hot.delayMs.p50)}, ${milliseconds(hot.delayMs.p99)}`,
      figure(hot.queuedMax),
      milliseconds(delayMs.p99),
    ]),
  )
}

export function outageTable(outages: readonly Outage[]): string {
  return table(
    [
      'away for',
      'of a core, before',
      'held by producers',
      'queued, at the most',
      'as before after',
      'publish → delivery, p99, from the failure to 20 s after',
    ],
    outages.map(outage => [
      `${figure(outage.seconds)} s`,
      percent(outage.utilisation),
      `${figure(outage.waitingMax)} SETs`,
      `${figure(outage.queuedMax)} SETs`,
      outage.recoveredAfterSeconds === undefined ? 'not within 20 s' : `${figure(outage.recoveredAfterSeconds)} s more`,
      milliseconds(outage.delayP99Ms),
    ]),
  )
}
