/** The few kinds of panels the dashboards are made of, so that each of them says what it shows and nothing else. */
import {
  BigValueColorMode,
  BigValueGraphMode,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

export const DATASOURCE = { type: 'prometheus', uid: '$datasource' }

export interface Query {
  readonly expr: string
  /** Of a line: text with `{{label}}`. Of a table: the column. */
  readonly legend: string
}

export interface Look {
  readonly title: string
  readonly description: string
  readonly unit?: string
  /** From which value on it asks for attention. */
  readonly warnAt?: number
  readonly alarmAt?: number
  readonly width?: number
}

export function newDashboard(uid: string, title: string, description: string): DashboardBuilder {
  return new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['setstream'])
    .refresh('30s')
    .time({ from: 'now-3h', to: 'now' })
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .link(new DashboardLinkBuilder('setstream').type(DashboardLinkType.Dashboards).tags(['setstream']).keepTime(true))
}

/** One number, with its recent course. */
export function stat(look: Look, expr: string): StatBuilder {
  const panel = new StatBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .span(look.width ?? 3)
    .height(4)
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(look))
    .withTarget(query({ expr, legend: look.title }, 'A'))
  if (look.unit !== undefined) panel.unit(look.unit)
  return panel
}

/** Lines over time. */
export function lines(look: Look, queries: readonly Query[], options: { stacked?: boolean } = {}): TimeSeriesBuilder {
  const panel = new TimeSeriesBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .span(look.width ?? 8)
    .height(8)
    .min(0)
    .fillOpacity(options.stacked === true ? 30 : 8)
    .targets(queries.map((one, i) => query(one, refId(i))))
  if (look.unit !== undefined) panel.unit(look.unit)
  if (options.stacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
  return panel
}

/** One row a value of `by`, one column a query; the worst first. */
export function receiversTable(
  look: Look,
  by: string,
  columns: readonly (Query & { readonly unit?: string; readonly warnAt?: number; readonly alarmAt?: number })[],
  sortedBy: string,
  link: { readonly title: string; readonly url: string },
): TableBuilder {
  const panel = new TableBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .span(24)
    .height(12)
    .targets(
      columns.map((column, i) =>
        query(column, refId(i)).instant().format(PromQueryFormat.Table).legendFormat(column.legend),
      ),
    )
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: { [by]: 0, ...Object.fromEntries(columns.map((_, i) => [`Value #${refId(i)}`, i + 1])) },
        renameByName: Object.fromEntries(columns.map(({ legend }, i) => [`Value #${refId(i)}`, legend])),
      },
    })
    .withTransformation({ id: 'sortBy', options: { sort: [{ field: sortedBy, desc: true }] } })
    .overrideByName(by, [{ id: 'links', value: [link] }])
  for (const { legend, unit, ...bounds } of columns) {
    panel.overrideByName(legend, [
      ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
      ...(bounds.warnAt === undefined && bounds.alarmAt === undefined
        ? []
        : [
            { id: 'thresholds', value: { mode: 'absolute', steps: steps(bounds) } },
            { id: 'custom.cellOptions', value: { type: 'color-text' } },
          ]),
    ])
  }
  return panel
}

function query({ expr, legend }: Query, ref: string): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).expr(expr).legendFormat(legend).refId(ref)
}

function refId(i: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + i)
}

function thresholds(look: Pick<Look, 'warnAt' | 'alarmAt'>): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(look))
}

function steps({ warnAt, alarmAt }: Pick<Look, 'warnAt' | 'alarmAt'>): Threshold[] {
  return [
    { value: null, color: 'green' },
    ...(warnAt === undefined ? [] : [{ value: warnAt, color: 'orange' }]),
    ...(alarmAt === undefined ? [] : [{ value: alarmAt, color: 'red' }]),
  ]
}
