/**
 * Facts of Redis as Prometheus reads them (design, section 8): text made once a snapshot, so that a scrape costs nothing
 * but its bytes. One process at a time exports them; their help says so, since counters of processes are summed and
 * these are not.
 *
 * Written here and not by prom-client, which needs four times as long for 10 000 receivers and holds up the process
 * meanwhile (docs/operate.md); what a process counts about itself goes through it.
 */

export interface ReceiverFacts {
  readonly id: string
  readonly status: string
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly oldestUnackedSeconds: number
  readonly lastPollMs: number | undefined
  /** Of its bound, in SETs or bytes, whichever is nearer: 0 to 1. */
  readonly backlogRatio: number
  readonly slo: { readonly targetMs: number; readonly within: number; readonly late: number } | undefined
}

export interface Snapshot {
  readonly takenAtMs: number
  readonly tookMs: number
  readonly receivers: readonly ReceiverFacts[]
  readonly jobs: readonly { readonly queue: string; readonly jobs: Readonly<Record<string, number>> }[]
  /** Queue → milliseconds since 1970. */
  readonly lastRuns: Readonly<Record<string, number>>
  readonly memory: readonly { readonly node: string; readonly usedBytes: number; readonly maxBytes: number }[]
  readonly signingKeys: readonly {
    readonly kid: string
    readonly alg: string
    readonly state: string
    readonly sinceMs: number
  }[]
}

/** Stands for all receivers that have no series of their own. */
export const OTHER = 'other'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

interface Family {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly samples: Iterable<Sample>
}

/** Lines between two chances for the process to do something else: well under a millisecond's work. */
const LINES_AT_ONCE = 1000

/** @param receiversMax receivers with series of their own, worst first. */
export async function renderFacts(snapshot: Snapshot, receiversMax: number): Promise<string> {
  const parts: string[] = []
  let part = ''
  let lines = 0
  for (const { name, type, help, samples } of families(snapshot, receiversMax)) {
    part += `# HELP ${name} ${help} A fact of Redis, exported by one process: do not sum.\n# TYPE ${name} ${type}\n`
    for (const [labels, value] of samples) {
      part += line(name, labels, value)
      if (++lines % LINES_AT_ONCE !== 0) continue
      parts.push(part)
      part = ''
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  return parts.join('') + part
}

function families(snapshot: Snapshot, receiversMax: number): Family[] {
  const { own, rest } = split(snapshot.receivers, receiversMax)
  const sum = (value: (facts: ReceiverFacts) => number) => rest.reduce((total, facts) => total + value(facts), 0)
  const max = (value: (facts: ReceiverFacts) => number) => rest.reduce((most, facts) => Math.max(most, value(facts)), 0)
  function* each(
    value: (facts: ReceiverFacts) => number | undefined,
    other: () => number | undefined,
  ): Iterable<Sample> {
    for (const facts of own) {
      const found = value(facts)
      if (found !== undefined) yield [{ receiver: facts.id }, found]
    }
    const others = rest.length > 0 ? other() : undefined
    if (others !== undefined) yield [{ receiver: OTHER }, others]
  }
  const summed = (value: (facts: ReceiverFacts) => number) => each(value, () => sum(value))
  const worst = (value: (facts: ReceiverFacts) => number) => each(value, () => max(value))
  const lastPoll = ({ lastPollMs }: ReceiverFacts) => (lastPollMs === undefined ? undefined : lastPollMs / 1000)
  const leastRecent = () =>
    rest.map(lastPoll).reduce((least, time) => (least === undefined || (time ?? least) < least ? time : least))
  return [
    gauge(
      'setstream_queued_sets',
      'SETs never handed out.',
      summed(facts => facts.queued),
    ),
    gauge(
      'setstream_inflight_sets',
      'SETs handed out and not acknowledged yet.',
      summed(facts => facts.inFlight),
    ),
    gauge(
      'setstream_owed_sets',
      'SETs to be handed out again.',
      summed(facts => facts.owedAgain),
    ),
    gauge(
      'setstream_parked_sets',
      'Dead letters.',
      summed(facts => facts.parked),
    ),
    gauge(
      'setstream_oldest_unacked_seconds',
      'Age of the oldest SET that is neither acknowledged nor parked, 0 without any.',
      worst(facts => facts.oldestUnackedSeconds),
    ),
    gauge(
      'setstream_last_poll_timestamp_seconds',
      'When the receiver last polled, if it ever did; of other receivers, the one that has not for longest.',
      each(lastPoll, leastRecent),
    ),
    gauge('setstream_receiver_status', '1 for the status it has; of other receivers, how many.', statuses(own, rest)),
    gauge(
      'setstream_backlog_ratio',
      'Unacknowledged and parked SETs by their bound, in SETs or bytes; at 1 publishing gets 429.',
      worst(facts => facts.backlogRatio),
    ),
    gauge(
      'setstream_slo_seconds',
      'Objective of the receiver, from publish to acknowledgement.',
      objectives(own, slo => slo.targetMs / 1000),
    ),
    {
      name: 'setstream_slo_sets_total',
      type: 'counter',
      help: 'Acknowledged SETs of receivers with an objective, within it or late.',
      samples: sloCounts(own, rest),
    },
    gauge('setstream_jobs', 'Jobs of workers.', jobCounts(snapshot)),
    gauge(
      'setstream_worker_last_run_timestamp_seconds',
      'When a job of the queue last ended.',
      Object.entries(snapshot.lastRuns).map(([queue, ms]) => [{ queue }, ms / 1000]),
    ),
    gauge(
      'setstream_redis_memory_used_bytes',
      'Memory that Redis uses.',
      snapshot.memory.map(({ node, usedBytes }) => [{ node }, usedBytes]),
    ),
    gauge(
      'setstream_redis_memory_max_bytes',
      'maxmemory of Redis; absent without a limit.',
      snapshot.memory.filter(({ maxBytes }) => maxBytes > 0).map(({ node, maxBytes }) => [{ node }, maxBytes]),
    ),
    gauge(
      'setstream_signing_key_since_timestamp_seconds',
      'Since when a signing key is next, current or retired.',
      snapshot.signingKeys.map(({ kid, alg, state, sinceMs }) => [{ kid, alg, state }, sinceMs / 1000]),
    ),
    gauge('setstream_receivers', 'Receivers.', [[{}, snapshot.receivers.length]]),
    gauge('setstream_snapshot_timestamp_seconds', 'When these facts were read.', [[{}, snapshot.takenAtMs / 1000]]),
    gauge('setstream_snapshot_seconds', 'How long reading them took.', [[{}, snapshot.tookMs / 1000]]),
  ]
}

/** Worst first: by the age of the oldest SET, then by how many wait, then by how many are parked. */
function split(receivers: readonly ReceiverFacts[], receiversMax: number) {
  if (receivers.length <= receiversMax) return { own: receivers, rest: [] }
  const sorted = receivers.toSorted(
    (a, b) =>
      b.oldestUnackedSeconds - a.oldestUnackedSeconds ||
      waiting(b) - waiting(a) ||
      b.parked - a.parked ||
      (a.id < b.id ? -1 : 1),
  )
  return { own: sorted.slice(0, receiversMax), rest: sorted.slice(receiversMax) }
}

function waiting({ queued, inFlight, owedAgain }: ReceiverFacts): number {
  return queued + inFlight + owedAgain
}

function gauge(name: string, help: string, samples: Iterable<Sample>): Family {
  return { name, type: 'gauge', help, samples }
}

function* statuses(own: readonly ReceiverFacts[], rest: readonly ReceiverFacts[]): Iterable<Sample> {
  for (const { id, status } of own) yield [{ receiver: id, status }, 1]
  for (const [status, facts] of Map.groupBy(rest, ({ status }) => status)) {
    yield [{ receiver: OTHER, status }, facts.length]
  }
}

function* objectives(
  own: readonly ReceiverFacts[],
  value: (slo: NonNullable<ReceiverFacts['slo']>) => number,
): Iterable<Sample> {
  for (const { id, slo } of own) if (slo !== undefined) yield [{ receiver: id }, value(slo)]
}

function* sloCounts(own: readonly ReceiverFacts[], rest: readonly ReceiverFacts[]): Iterable<Sample> {
  for (const { id, slo } of own) {
    if (slo === undefined) continue
    yield [{ receiver: id, result: 'within' }, slo.within]
    yield [{ receiver: id, result: 'late' }, slo.late]
  }
  const others = rest.flatMap(({ slo }) => (slo === undefined ? [] : [slo]))
  if (others.length === 0) return
  // It may fall when a receiver gets series of its own, which Prometheus takes for a restart.
  yield [{ receiver: OTHER, result: 'within' }, others.reduce((total, slo) => total + slo.within, 0)]
  yield [{ receiver: OTHER, result: 'late' }, others.reduce((total, slo) => total + slo.late, 0)]
}

function* jobCounts({ jobs }: Snapshot): Iterable<Sample> {
  for (const { queue, jobs: counts } of jobs) {
    for (const [state, count] of Object.entries(counts)) yield [{ queue, state }, count]
  }
}

function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  let inBraces = ''
  for (const label in labels) {
    inBraces += `${inBraces === '' ? '' : ','}${label}="${escapeLabel(labels[label] as string)}"`
  }
  return inBraces === '' ? `${name} ${value}\n` : `${name}{${inBraces}} ${value}\n`
}

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n') : value
}

/** What this process exports of them: nothing unless it holds the lease, whatever became of it meanwhile. */
export class ExportedFacts {
  #text = ''
  #untilMs = 0

  /** @param untilMs by `performance.now()`: no later than the lease can have ended. */
  replace(text: string, untilMs: number): void {
    this.#text = text
    this.#untilMs = untilMs
  }

  keepUntil(untilMs: number): void {
    this.#untilMs = untilMs
  }

  clear(): void {
    this.#text = ''
  }

  /** A process that was held up, and whose lease another took, has a clock that tells it so. */
  text(): string {
    return performance.now() < this.#untilMs ? this.#text : ''
  }
}
