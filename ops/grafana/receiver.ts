/** One receiver: what it holds, in which state, and whether it keeps up. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { QueryVariableBuilder, VariableRefresh, VariableSort } from '@grafana/grafana-foundation-sdk/dashboard'
import { DATASOURCE, lines, newDashboard, stat } from './panels.ts'

export const RECEIVER_DASHBOARD = 'setstream-receiver'

const fact = (name: string) => `max(${name}{receiver="$receiver"})`
const share = (window: string) =>
  `sum(increase(setstream_slo_sets_total{receiver="$receiver", result="within"}[${window}])) / (sum(increase(setstream_slo_sets_total{receiver="$receiver"}[${window}])) > 0)`

export function receiverDashboard(): DashboardBuilder {
  return newDashboard(RECEIVER_DASHBOARD, 'setstream: one receiver', 'The life of its SETs, and whether it keeps up.')
    .withVariable(
      new QueryVariableBuilder('receiver')
        .label('Receiver')
        .datasource(DATASOURCE)
        .query({ query: 'label_values(setstream_queued_sets, receiver)', refId: 'receivers' })
        .definition('label_values(setstream_queued_sets, receiver)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.AlphabeticalAsc),
    )
    .withPanel(
      stat(
        {
          title: 'Oldest unacknowledged',
          description: 'Age of the oldest SET that is neither acknowledged nor parked.',
          unit: 's',
          warnAt: 300,
          alarmAt: 3600,
          width: 4,
        },
        fact('setstream_oldest_unacked_seconds'),
      ),
    )
    .withPanel(
      stat(
        { title: 'Last poll', description: 'How long ago it polled.', unit: 's', warnAt: 120, alarmAt: 900, width: 4 },
        `time() - ${fact('setstream_last_poll_timestamp_seconds')}`,
      ),
    )
    .withPanel(
      stat(
        {
          title: 'Backlog',
          description: 'Of its bound; at 100 % publishing to it gets 429.',
          unit: 'percentunit',
          warnAt: 0.5,
          alarmAt: 0.8,
          width: 4,
        },
        fact('setstream_backlog_ratio'),
      ),
    )
    .withPanel(
      stat({ title: 'Dead letters', description: 'Parked SETs.', warnAt: 1, width: 4 }, fact('setstream_parked_sets')),
    )
    .withPanel(
      stat(
        {
          title: 'Objective kept',
          description: 'Share of SETs acknowledged in time, over a day.',
          unit: 'percentunit',
          width: 4,
        },
        share('1d'),
      ),
    )
    .withPanel(
      stat(
        {
          title: 'Paused or disabled',
          description: '1 when it is not enabled: then nothing is handed out.',
          warnAt: 1,
          width: 4,
        },
        'count(setstream_receiver_status{receiver="$receiver", status!="enabled"}) or vector(0)',
      ),
    )
    .withPanel(
      lines(
        { title: 'Its SETs', description: 'Queued, in flight, owed again, parked.', width: 24 },
        [
          { expr: fact('setstream_queued_sets'), legend: 'queued' },
          { expr: fact('setstream_inflight_sets'), legend: 'in flight' },
          { expr: fact('setstream_owed_sets'), legend: 'owed again' },
          { expr: fact('setstream_parked_sets'), legend: 'parked' },
        ],
        { stacked: true },
      ),
    )
    .withPanel(
      lines(
        { title: 'Oldest unacknowledged', description: 'Against its objective, if it has one.', unit: 's', width: 12 },
        [
          { expr: fact('setstream_oldest_unacked_seconds'), legend: 'oldest unacknowledged' },
          { expr: fact('setstream_slo_seconds'), legend: 'objective' },
        ],
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Acknowledged in time',
          description: 'Share within its objective, over an hour.',
          unit: 'percentunit',
          width: 12,
        },
        [{ expr: share('1h'), legend: 'within' }],
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Time since its last poll',
          description: 'Regular teeth are a receiver that lives.',
          unit: 's',
          width: 12,
        },
        [{ expr: `time() - ${fact('setstream_last_poll_timestamp_seconds')}`, legend: 'since last poll' }],
      ),
    )
    .withPanel(
      lines(
        {
          title: 'Acknowledged',
          description: 'A second, of a receiver with an objective: within it and late.',
          unit: 'cps',
          width: 12,
        },
        [
          {
            expr: 'sum by (result) (rate(setstream_slo_sets_total{receiver="$receiver"}[$__rate_interval]))',
            legend: '{{result}}',
          },
        ],
        { stacked: true },
      ),
    )
}
