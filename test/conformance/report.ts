/** The table of results. */
import type { Result } from './run-vector.ts'

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly notRun: number
}

export function totalsOf(results: readonly Result[]): Totals {
  const count = (wanted: Result['result']) => results.filter(({ result }) => result === wanted).length
  return { passed: count('passed'), failed: count('failed'), notRun: count('not run') }
}

export function table(results: readonly Result[]): string {
  const width = Math.max(...results.map(({ id }) => id.length))
  const rows = results.map(({ id, result, description, faults, notes }) => {
    const reasons = [...faults, ...notes].map(reason => `\n${' '.repeat(width + 11)}${printable(reason)}`)
    return `${id.padEnd(width)}  ${result.padEnd(7)}  ${description}${reasons.join('')}`
  })
  const { passed, failed, notRun } = totalsOf(results)
  return [...rows, '', `${passed} passed, ${failed} failed, ${notRun} not run`].join('\n')
}

/** Reasons quote what was received, which may hold anything. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]/gu, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
