/** Results as text for a terminal. */
import type { BenchResult, BudgetResult, SideResult } from './alternate.ts'

export function renderBench(result: BenchResult): string {
  const lines = [`${result.name}: ${result.what}`]
  const rows = result.sides.map(side => [
    `  ${side.name}`,
    `${figure(side.median)} ${result.unit}`,
    `(${figure(side.lowest)}–${figure(side.highest)})`,
    renderCores(side, result.unit),
    renderDetail(side),
  ])
  lines.push(...align(rows))
  for (const budget of result.budgets) lines.push(`  ${renderBudget(budget)}`)
  if (result.disturbedRounds > 0) {
    lines.push(`  ${result.disturbedRounds} round(s) while other programs used the machine: measure again`)
  }
  return lines.join('\n')
}

export function renderSummary(results: readonly BenchResult[]): string {
  const rows = results.flatMap(result =>
    result.budgets.map(budget => [
      result.name,
      `${budget.ours} / ${budget.against}`,
      figure(budget.ratio.median),
      `(${figure(budget.ratio.lowest)}–${figure(budget.ratio.highest)})`,
      bound(budget),
      budget.met ? 'met' : 'MISSED',
    ]),
  )
  return align([['benchmark', 'ratio of', 'median', 'spread', 'budget', ''], ...rows]).join('\n')
}

function renderBudget(budget: BudgetResult): string {
  const ratio = `${figure(budget.ratio.median)} (${figure(budget.ratio.lowest)}–${figure(budget.ratio.highest)})`
  return `${budget.ours} / ${budget.against} = ${ratio}, budget ${bound(budget)}: ${budget.met ? 'met' : 'MISSED'}`
}

const bound = (budget: BudgetResult) =>
  budget.atLeast === undefined ? `≤ ${budget.atMost}` : `≥ ${budget.atLeast.toFixed(1)}`

/** Of a rate, what one unit costs each process: that hardly changes when others use the machine too. */
function renderCores(side: SideResult, unit: string): string {
  const { others, ...watched } = side.cores
  const isRate = unit.endsWith('/s')
  const shares = Object.entries(watched).map(([name, used]) =>
    isRate ? `${name} ${figure((used / side.median) * 1e6)}` : `${name} ${used.toFixed(2)}`,
  )
  if (shares.length === 0) return ''
  return `${isRate ? 'µs each' : 'cores'}: ${shares.join(', ')}${others === undefined ? '' : `; other programs ${others.toFixed(2)} cores`}`
}

const renderDetail = (side: SideResult) =>
  Object.entries(side.detail)
    .map(([name, value]) => `${name} ${figure(value)}`)
    .join(', ')

/** Three digits are all that a benchmark can promise. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const magnitude = Math.abs(value)
  if (magnitude >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
  if (magnitude >= 100) return value.toFixed(0)
  if (magnitude >= 10) return value.toFixed(1)
  return value.toFixed(magnitude >= 0.1 || magnitude === 0 ? 2 : 4)
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  return rows.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  )
}
