/** Do events flow, for whom do they not, and where does it pinch? Top to bottom in this order. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { lines, newDashboard, receiversTable, stat } from './panels.ts'
import { RECEIVER_DASHBOARD } from './receiver.ts'

/** Counted in each process. */
const rate = (counter: string, labels = '') => `sum(rate(${counter}${labels}[$__rate_interval]))`
const rateBy = (label: string, counter: string, labels = '') =>
  `sum by (${label}) (rate(${counter}${labels}[$__rate_interval]))`
const quantile = (q: number, histogram: string) =>
  `histogram_quantile(${q}, sum by (le) (rate(${histogram}_bucket[$__rate_interval])))`
/** A fact of Redis: one process exports it, and for a moment two seem to when the lease changes hands. */
const fact = (name: string) => `max by (receiver) (${name})`
const total = (name: string) => `sum(${fact(name)})`
const age = (time: string) => `time() - ${time}`
/** The receivers of the table. The other columns ask for these alone: there may be ten thousand. */
const WORST = `topk(50, ${fact('setstream_oldest_unacked_seconds')})`
const ofWorst = (expr: string) => `${expr} and on (receiver) ${WORST}`

const latencies = (histogram: string) => [
  { expr: quantile(0.5, histogram), legend: 'half' },
  { expr: quantile(0.99, histogram), legend: '99 %' },
]

export function fleetDashboard(): DashboardBuilder {
  return newDashboard('setstream-fleet', 'setstream: fleet', 'Whether events flow, for whom they do not, and why.')
    .withRow(new RowBuilder('Do events flow?'))
    .withPanel(
      stat(
        { title: 'Published', description: 'SETs appended to a log, a second.', unit: 'cps' },
        rate('setstream_sets_published_total'),
      ),
    )
    .withPanel(
      stat(
        { title: 'Acknowledged', description: 'SETs acknowledged, a second.', unit: 'cps' },
        rate('setstream_sets_acked_total'),
      ),
    )
    .withPanel(
      stat(
        {
          title: 'Oldest unacknowledged',
          description: 'Of all receivers. Its alert: docs/operate.md#slo-missed.',
          unit: 's',
          warnAt: 300,
          alarmAt: 3600,
        },
        'max(setstream_oldest_unacked_seconds)',
      ),
    )
    .withPanel(
      stat(
        { title: 'Unacknowledged', description: 'SETs queued, in flight or owed again.' },
        `${total('setstream_queued_sets')} + ${total('setstream_inflight_sets')} + ${total('setstream_owed_sets')}`,
      ),
    )
    .withPanel(
      stat(
        { title: 'Dead letters', description: 'Parked SETs: somebody has to look at them.', warnAt: 1 },
        total('setstream_parked_sets'),
      ),
    )
    .withPanel(
      stat({ title: 'Held polls', description: 'Receivers that wait for a SET.' }, 'sum(setstream_held_polls)'),
    )
    .withPanel(
      stat(
        { title: 'Refused', description: 'Requests answered with an error, a second.', unit: 'cps', warnAt: 1 },
        rate('setstream_refused_requests_total'),
      ),
    )
    .withPanel(
      stat(
        { title: 'Alerts', description: 'Alerts of setstream that fire.', warnAt: 1, alarmAt: 2 },
        'count(ALERTS{alertname=~"Setstream.*", alertstate="firing"}) or vector(0)',
      ),
    )
    .withRow(new RowBuilder('For whom do they not?'))
    .withPanel(
      receiversTable(
        { title: 'Receivers', description: 'Those whose oldest SET waits longest; a click leads to one of them.' },
        'receiver',
        [
          {
            expr: WORST,
            legend: 'Oldest unacknowledged',
            unit: 's',
            warnAt: 300,
            alarmAt: 3600,
          },
          { expr: ofWorst(fact('setstream_queued_sets')), legend: 'Queued' },
          { expr: ofWorst(fact('setstream_inflight_sets')), legend: 'In flight' },
          { expr: ofWorst(fact('setstream_owed_sets')), legend: 'Owed again' },
          { expr: ofWorst(fact('setstream_parked_sets')), legend: 'Parked', warnAt: 1 },
          {
            expr: ofWorst(fact('setstream_backlog_ratio')),
            legend: 'Of its bound',
            unit: 'percentunit',
            warnAt: 0.5,
            alarmAt: 0.8,
          },
          { expr: ofWorst(age(fact('setstream_last_poll_timestamp_seconds'))), legend: 'Last poll, ago', unit: 's' },
        ],
        'Oldest unacknowledged',
        { title: 'This receiver', url: `/d/${RECEIVER_DASHBOARD}?var-receiver=\${__data.fields.receiver}` },
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Objectives kept',
          description:
            'Share of SETs acknowledged within the objective of their receiver, over an hour; the worst ten.',
          unit: 'percentunit',
          width: 12,
        },
        [
          {
            expr: 'bottomk(10, sum by (receiver) (increase(setstream_slo_sets_total{result="within"}[1h])) / (sum by (receiver) (increase(setstream_slo_sets_total[1h])) > 0))',
            legend: '{{receiver}}',
          },
        ],
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Oldest unacknowledged',
          description: 'Of the ten receivers whose oldest SET waits longest.',
          unit: 's',
          width: 12,
        },
        [{ expr: `topk(10, ${fact('setstream_oldest_unacked_seconds')})`, legend: '{{receiver}}' }],
      ),
    )
    .withRow(new RowBuilder('Flow'))
    .withPanel(
      lines(
        {
          title: 'SETs',
          description: 'The way of SETs, a second. Handed out again is part of handed out.',
          unit: 'cps',
        },
        [
          { expr: rate('setstream_sets_published_total'), legend: 'published' },
          { expr: rate('setstream_sets_delivered_total'), legend: 'handed out' },
          { expr: rate('setstream_sets_redelivered_total'), legend: 'handed out again' },
          { expr: rate('setstream_sets_acked_total'), legend: 'acknowledged' },
        ],
      ),
    )
    .withPanel(
      lines(
        { title: 'Where SETs are', description: 'Over all receivers.' },
        [
          { expr: total('setstream_queued_sets'), legend: 'queued' },
          { expr: total('setstream_inflight_sets'), legend: 'in flight' },
          { expr: total('setstream_owed_sets'), legend: 'owed again' },
          { expr: total('setstream_parked_sets'), legend: 'parked' },
        ],
        { stacked: true },
      ),
    )
    .withPanel(
      lines(
        { title: 'Polls', description: 'By what became of them, a second.', unit: 'cps' },
        [{ expr: rateBy('outcome', 'setstream_polls_total'), legend: '{{outcome}}' }],
        { stacked: true },
      ),
    )
    .withPanel(
      lines({ title: 'Parked', description: 'SETs that became dead letters, a second, by reason.', unit: 'cps' }, [
        { expr: rateBy('reason', 'setstream_sets_parked_total'), legend: '{{reason}}' },
        { expr: rateBy('reason', 'setstream_sets_discarded_total'), legend: 'discarded: {{reason}}' },
      ]),
    )
    .withPanel(
      lines({ title: 'Refused by receivers', description: 'Reports in setErrs, a second, by code.', unit: 'cps' }, [
        { expr: rateBy('err', 'setstream_set_errors_total'), legend: '{{err}}' },
      ]),
    )
    .withPanel(
      lines(
        { title: 'Refused by us', description: 'Requests and events answered with an error, a second.', unit: 'cps' },
        [
          { expr: rateBy('listener, code', 'setstream_refused_requests_total'), legend: '{{listener}}: {{code}}' },
          { expr: rateBy('code', 'setstream_refused_events_total'), legend: 'event: {{code}}' },
          { expr: rate('setstream_unrouted_events_total'), legend: 'event nobody takes' },
          { expr: rate('setstream_unknown_members_total'), legend: 'unknown member of a poll' },
        ],
      ),
    )
    .withRow(new RowBuilder('How long it takes'))
    .withPanel(
      lines(
        { title: 'Publish call', description: 'Time to answer a publish call.', unit: 's', width: 6 },
        latencies('setstream_publish_seconds'),
      ),
    )
    .withPanel(
      lines(
        { title: 'Poll', description: 'Time to answer a poll that was not held.', unit: 's', width: 6 },
        latencies('setstream_poll_seconds'),
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Publish to delivery',
          description: 'How long the oldest SET of each page had waited.',
          unit: 's',
          width: 6,
        },
        latencies('setstream_publish_to_delivery_seconds'),
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Delivery to acknowledgement',
          description: 'How long receivers keep SETs; samples.',
          unit: 's',
          width: 6,
        },
        latencies('setstream_delivery_to_ack_seconds'),
      ),
    )
    .withRow(new RowBuilder('Workers'))
    .withPanel(
      lines({ title: 'Last run', description: 'How long ago a job of each queue ended.', unit: 's' }, [
        { expr: age('max by (queue) (setstream_worker_last_run_timestamp_seconds)'), legend: '{{queue}}' },
      ]),
    )
    .withPanel(
      lines({ title: 'Jobs', description: 'By queue and state.' }, [
        { expr: 'max by (queue, state) (setstream_jobs)', legend: '{{queue}}: {{state}}' },
      ]),
    )
    .withPanel(
      lines(
        {
          title: 'Snapshot',
          description: 'Reading facts of Redis: how long it took, and how old they are.',
          unit: 's',
        },
        [
          { expr: 'max(setstream_snapshot_seconds)', legend: 'took' },
          { expr: age('max(setstream_snapshot_timestamp_seconds)'), legend: 'age' },
        ],
      ),
    )
    .withRow(new RowBuilder('Redis'))
    .withPanel(
      lines({ title: 'Memory', description: 'Used, and what maxmemory allows.', unit: 'bytes' }, [
        { expr: 'max by (node) (setstream_redis_memory_used_bytes)', legend: '{{node}} used' },
        { expr: 'max by (node) (setstream_redis_memory_max_bytes)', legend: '{{node}} limit' },
      ]),
    )
    .withPanel(
      lines({ title: 'Commands under way', description: 'Of all processes: what Redis has still to answer.' }, [
        { expr: 'sum by (purpose) (setstream_redis_pending_commands)', legend: '{{purpose}}' },
      ]),
    )
    .withPanel(
      lines({ title: 'Connections', description: 'Processes that do not reach Redis, and connections lost.' }, [
        { expr: 'count(setstream_redis_connected == 0) or vector(0)', legend: 'not connected' },
        { expr: rateBy('purpose', 'setstream_redis_disconnects_total'), legend: 'lost a second: {{purpose}}' },
      ]),
    )
    .withRow(new RowBuilder('Processes and keys'))
    .withPanel(
      lines({ title: 'Processor', description: 'Cores that each process uses; one is all it can.', width: 6 }, [
        {
          expr: 'rate(process_cpu_seconds_total[$__rate_interval]) and on (job, instance) setstream_held_polls',
          legend: '{{instance}}',
        },
      ]),
    )
    .withPanel(
      lines({ title: 'Memory', description: 'Resident memory of each process.', unit: 'bytes', width: 6 }, [
        { expr: 'process_resident_memory_bytes and on (job, instance) setstream_held_polls', legend: '{{instance}}' },
      ]),
    )
    .withPanel(
      lines({ title: 'Event loop', description: 'Delay of the event loop, 99 %.', unit: 's', width: 6 }, [
        {
          expr: 'nodejs_eventloop_lag_p99_seconds and on (job, instance) setstream_held_polls',
          legend: '{{instance}}',
        },
      ]),
    )
    .withPanel(
      lines(
        {
          title: 'Keys and certificates',
          description: 'Age of signing keys, and time left of certificates.',
          unit: 's',
          width: 6,
        },
        [
          {
            expr: age('max by (alg, state, kid) (setstream_signing_key_since_timestamp_seconds)'),
            legend: '{{alg}} {{state}} since',
          },
          {
            expr: 'min by (listener) (setstream_tls_certificate_expiry_timestamp_seconds) - time()',
            legend: 'certificate of {{listener}}, left',
          },
        ],
      ),
    )
}
