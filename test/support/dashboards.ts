/** The queries of the dashboards as Grafana sends them, read from the files that Grafana reads. */
import { readdirSync, readFileSync } from 'node:fs'

const folder = new URL('../../ops/grafana/dashboards/', import.meta.url)

export interface PanelQuery {
  readonly dashboard: string
  readonly panel: string
  readonly expr: string
}

interface Panel {
  readonly type: string
  readonly title?: string
  readonly targets?: readonly { readonly expr?: string }[]
}

export function dashboardFiles(): Map<string, string> {
  return new Map(readdirSync(folder).map(name => [name, readFileSync(new URL(name, folder), 'utf8')]))
}

/** @param values of the variables of dashboards, by name; `__rate_interval` is Grafana's own. */
export function panelQueries(values: Readonly<Record<string, string>>): PanelQuery[] {
  return [...dashboardFiles()].flatMap(([dashboard, text]) => {
    const { panels } = JSON.parse(text) as { panels: readonly Panel[] }
    return panels.flatMap(({ title = '', targets = [] }) =>
      targets.map(({ expr = '' }) => ({ dashboard, panel: title, expr: substituted(expr, values) })),
    )
  })
}

function substituted(expr: string, values: Readonly<Record<string, string>>): string {
  const result = expr.replace(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole)
  if (result.includes('$')) throw new Error(`a variable has no value: ${result}`)
  return result
}
