/**
 * What each process counts about itself (design, section 8). Sum these over processes; facts of Redis are exported
 * elsewhere, by one process only. Names carry their units; labels are bounded.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type PollOutcome = 'sets' | 'empty' | 'timeout' | 'displaced' | 'aborted' | 'refused'
export type ParkReason = 'reported' | 'attempts' | 'expired' | 'disabled'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const LONG_SECONDS = [...SECONDS, 60, 300, 1800, 3600, 21_600, 86_400]

/** @param heldPolls how many polls are held now; asked at each scrape. */
export function createMetrics(heldPolls: () => number) {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name, help: `${help} Per process: sum.`, registers })
  const labelled = <L extends string>(name: string, help: string, label: L) =>
    new Counter({ name, help: `${help} Per process: sum.`, labelNames: [label], registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help: `${help} Per process: sum.`, buckets, registers })
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    published: counter('setstream_sets_published_total', 'SETs appended to a log.'),
    delivered: counter('setstream_sets_delivered_total', 'SETs handed out, repeats included.'),
    redelivered: counter('setstream_sets_redelivered_total', 'SETs handed out again.'),
    acked: counter('setstream_sets_acked_total', 'SETs acknowledged.'),
    parked: labelled('setstream_sets_parked_total', 'SETs parked.', 'reason'),
    discarded: labelled('setstream_sets_discarded_total', 'Parked SETs discarded.', 'reason'),
    setErrors: labelled('setstream_set_errors_total', 'Reports in setErrs, by registered code or other.', 'err'),
    unrouted: counter('setstream_unrouted_events_total', 'Events that no receiver is subscribed to.'),
    unknownMembers: counter('setstream_unknown_members_total', 'Members of polls that the protocol does not know.'),
    polls: labelled('setstream_polls_total', 'Polls, by outcome.', 'outcome'),
    heldPolls: new Gauge({
      name: 'setstream_held_polls',
      help: 'Polls held now. Per process: sum.',
      registers,
      collect() {
        this.set(heldPolls())
      },
    }),
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
