/** Dashboards and alerts, checked against what a running transmitter really exports. Grafana itself is not needed for it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { dashboards } from '../../ops/grafana/build.ts'
import { dashboardFiles, panelQueries } from '../support/dashboards.ts'
import { openLab } from '../support/feed.ts'
import { scrapedUntil } from '../support/metrics.ts'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
}

const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const { groups } = parse(file('ops/prometheus/setstream.rules.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap(({ rules }) => rules)
const recorded = new Set(rules.flatMap(({ record }) => record ?? []))
const queries = panelQueries({ __rate_interval: '5m', receiver: 'r' })
/** Those that autoscaling asks. */
const triggers = ['public', 'workers'].flatMap(name => {
  const { spec } = parse(file(`ops/kubernetes/keda/${name}.yaml`)) as {
    spec: { triggers: { metadata: { query?: string } }[] }
  }
  return spec.triggers.flatMap(({ metadata: { query } }) => (query === undefined ? [] : [{ expr: query }]))
})

/** What a query names: not functions, labels, or what stands in quotes. */
function namesIn(expr: string): string[] {
  return [...expr.replace(/"[^"]*"/g, '').matchAll(/\b(?:setstream|nodejs|process)[_:][a-z0-9_:]+/g)].map(
    ([name]) => name,
  )
}

/** Names that a family of this type has samples of. */
function sampleNames(name: string, type: string): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

describe('the dashboards', () => {
  it('are those that ops/grafana/build.ts makes', () => {
    expect(dashboardFiles()).toEqual(dashboards())
  })

  it('show something in each panel, under a title and with a word on what it is', () => {
    for (const [name, text] of dashboardFiles()) {
      const { panels, uid } = JSON.parse(text)
      expect(uid, name).toMatch(/^setstream-/)
      for (const panel of panels.filter(({ type }: { type: string }) => type !== 'row')) {
        expect(panel.title, name).toBeTruthy()
        expect(panel.description, panel.title).toBeTruthy()
        expect(panel.targets.length, panel.title).toBeGreaterThan(0)
      }
    }
  })
})

describe('dashboards, alerts and autoscaling', () => {
  it('ask for metrics that a process exports, and for labels that these have', async () => {
    const { transmitter } = await openLab({ METRICS_SNAPSHOT_MS: '100' }, ['public', 'internal', 'workers'])
    const found = await scrapedUntil(
      'a snapshot with workers',
      transmitter,
      found => found.value('setstream_worker_last_run_timestamp_seconds', { queue: 'retention' }) !== undefined,
      10_000,
    )
    const exported = new Set([...found.types].flatMap(([name, type]) => sampleNames(name, type)))
    const known = new Set([...exported, ...recorded])
    const asked = new Set([...queries, ...rules, ...triggers].flatMap(({ expr }) => namesIn(expr)))
    expect([...asked].filter(name => !known.has(name))).toEqual([])
    expect(asked.size).toBeGreaterThan(30)
  })
})

describe('an alert', () => {
  const alerts = rules.filter(({ alert }) => alert !== undefined)
  const runbooks = new Set(
    [...file('docs/operate.md').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => anchorOf(title)),
  )

  it.each(alerts.map(rule => [rule.alert, rule] as const))(
    '%s has a severity, a summary and a runbook',
    (_name, rule) => {
      expect(rule.labels?.severity).toMatch(/^(warning|critical)$/)
      expect(rule.annotations?.summary).toBeTruthy()
      const [path, anchor = ''] = rule.annotations?.runbook?.split('#') ?? []
      expect(path).toBe('docs/operate.md')
      expect([...runbooks]).toContain(anchor)
    },
  )
})

/** As Markdown viewers make them. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
