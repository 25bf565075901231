/**
 * What each process counts about itself (design, section 8). Sum these over processes; facts of Redis are exported
 * beside them, by one process only (facts.ts). Names carry their units; labels are bounded.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { FailureCode } from '../errors.ts'
import { REGISTERED_SET_ERRORS } from '../protocol/set-error.ts'
import { ExportedFacts } from './facts.ts'

const POLL_OUTCOMES = ['sets', 'empty', 'timeout', 'displaced', 'aborted', 'refused'] as const
const PARK_REASONS = ['reported', 'attempts', 'expired', 'disabled'] as const
/** What alerts watch; of the other codes each is a series once it has happened. */
const OWN_FAULTS = ['backlog_full', 'store_unavailable', 'overloaded', 'internal'] satisfies FailureCode[]
const DISCARD_REASONS = ['operator', 'retention'] as const

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const LONG_SECONDS = [...SECONDS, 60, 300, 1800, 3600, 21_600, 86_400]

/** One of the connections to Redis that this process has. */
export interface RedisConnection {
  readonly purpose: string
  state(): { readonly isReady: boolean; readonly pending: number }
}

/** What is asked at each scrape. All of it is in memory. */
export interface Sources {
  heldPolls(): number
  connections?(): readonly RedisConnection[]
  /** Listener → when its certificate ends, in milliseconds since 1970. */
  certificates?(): ReadonlyMap<string, number>
}

export function createMetrics(sources: Sources) {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name, help: `${help} Per process: sum.`, registers })
  const labelled = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help: `${help} Per process: sum.`, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help: `${help} Per process: sum.`, buckets, registers })
  collectDefaultMetrics({ register: registry })
  const connections = () => Map.groupBy(sources.connections?.() ?? [], ({ purpose }) => purpose)
  new Gauge({
    name: 'setstream_held_polls',
    help: 'Polls held now. Per process: sum.',
    registers,
    collect() {
      this.set(sources.heldPolls())
    },
  })
  new Gauge({
    name: 'setstream_redis_connected',
    help: '1 while every connection of this purpose stands. Per process.',
    labelNames: ['purpose'],
    registers,
    collect() {
      this.reset()
      for (const [purpose, all] of connections()) this.set({ purpose }, all.every(one => one.state().isReady) ? 1 : 0)
    },
  })
  new Gauge({
    name: 'setstream_redis_pending_commands',
    help: 'Commands that wait for an answer of Redis. Per process: sum.',
    labelNames: ['purpose'],
    registers,
    collect() {
      this.reset()
      for (const [purpose, all] of connections()) {
        this.set(
          { purpose },
          all.reduce((sum, one) => sum + one.state().pending, 0),
        )
      }
    },
  })
  new Gauge({
    name: 'setstream_tls_certificate_expiry_timestamp_seconds',
    help: 'When the certificate that a listener uses now ends. Per process.',
    labelNames: ['listener'],
    registers,
    collect() {
      this.reset()
      for (const [listener, ms] of sources.certificates?.() ?? []) this.set({ listener }, ms / 1000)
    },
  })
  const facts = new ExportedFacts()
  const parked = labelled('setstream_sets_parked_total', 'SETs parked.', 'reason')
  const discarded = labelled('setstream_sets_discarded_total', 'Parked SETs discarded.', 'reason')
  const setErrors = labelled('setstream_set_errors_total', 'Reports in setErrs, by registered code or other.', 'err')
  const polls = labelled('setstream_polls_total', 'Polls, by outcome.', 'outcome')
  const refused = labelled('setstream_refused_requests_total', 'Requests refused, by code.', 'listener', 'code')
  const refusedEvents = labelled(
    'setstream_refused_events_total',
    'Events not published, or not to every receiver.',
    'code',
  )
  // From the start, so that the first of each is a rise and not a new series.
  for (const reason of PARK_REASONS) parked.inc({ reason }, 0)
  for (const reason of DISCARD_REASONS) discarded.inc({ reason }, 0)
  for (const err of [...REGISTERED_SET_ERRORS, 'other']) setErrors.inc({ err }, 0)
  for (const outcome of POLL_OUTCOMES) polls.inc({ outcome }, 0)
  for (const code of OWN_FAULTS) {
    refusedEvents.inc({ code }, 0)
    for (const listener of ['public', 'internal']) refused.inc({ listener, code }, 0)
  }
  return {
    registry,
    facts,
    /** The whole exposition. Reads memory and nothing else. */
    async text(): Promise<string> {
      return (await registry.metrics()) + facts.text()
    },
    published: counter('setstream_sets_published_total', 'SETs appended to a log.'),
    delivered: counter('setstream_sets_delivered_total', 'SETs handed out, repeats included.'),
    redelivered: counter('setstream_sets_redelivered_total', 'SETs handed out again.'),
    acked: counter('setstream_sets_acked_total', 'SETs acknowledged.'),
    parked,
    discarded,
    setErrors,
    unrouted: counter('setstream_unrouted_events_total', 'Events that no receiver is subscribed to.'),
    refusedEvents,
    unknownMembers: counter('setstream_unknown_members_total', 'Members of polls that the protocol does not know.'),
    polls,
    refused,
    redisDisconnects: labelled('setstream_redis_disconnects_total', 'Connections to Redis that ended.', 'purpose'),
    pollSeconds: histogram('setstream_poll_seconds', 'Time to answer a poll that was not held.', SECONDS),
    publishSeconds: histogram('setstream_publish_seconds', 'Time to answer a publish call.', SECONDS),
    publishToDeliverySeconds: histogram(
      'setstream_publish_to_delivery_seconds',
      'From append to first delivery, by Redis time; the oldest SET of each page.',
      LONG_SECONDS,
    ),
    deliveryToAckSeconds: histogram(
      'setstream_delivery_to_ack_seconds',
      'From the latest delivery to acknowledgement, by Redis time; samples of SETs in flight, some a second.',
      LONG_SECONDS,
    ),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
