/**
 * What is printed: tables and sheets for people, JSON for programs, one value a line. Text that came from elsewhere is made
 * harmless first: a receiver's description must not steer the operator's terminal.
 */
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export function paint(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return styleText(style, text, { stream })
}

/** Control and format characters, those that reorder text included, become visible escapes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, character => {
    if (character === '\n') return '\\n'
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}

/** Written whole before it resolves, so that what follows, an acknowledgement perhaps, comes after it. */
export function print(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(`${text}\n`, error => (error ? reject(error) : resolve()))
  })
}

export function printJson(stream: NodeJS.WriteStream, value: unknown): Promise<void> {
  return print(stream, JSON.stringify(value))
}

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => unknown
  readonly align?: 'left' | 'right'
  /** For values that ask for attention. */
  readonly style?: (row: Row) => Style | undefined
}

/** On a terminal the last column is cut where the line ends; elsewhere nothing is cut. */
export function table<Row>(stream: NodeJS.WriteStream, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map(row => columns.map(column => cell(column.value(row))))
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map(line => width(line[i] ?? ''))))
  const line = (texts: readonly string[], style: (i: number) => Style | undefined) => {
    let left = stream.isTTY ? stream.columns : Number.POSITIVE_INFINITY
    return columns
      .map((column, i) => {
        const text = texts[i] ?? ''
        const gap = ' '.repeat(Math.max(0, (widths[i] ?? 0) - width(text)))
        const isLast = i === columns.length - 1
        const padded = column.align === 'right' ? gap + text : isLast ? cut(text, left) : text + gap
        left -= width(padded) + 2
        const painted = style(i)
        return painted === undefined ? padded : paint(stream, painted, padded)
      })
      .join('  ')
      .trimEnd()
  }
  const head = line(
    columns.map(column => column.title),
    () => 'bold',
  )
  const body = rows.map((row, r) => line(cells[r] ?? [], i => columns[i]?.style?.(row)))
  return [head, ...body].join('\n')
}

/** Names and values of one thing; what is undefined is left out. */
export function sheet(
  stream: NodeJS.WriteStream,
  entries: readonly (readonly [name: string, value: unknown])[],
): string {
  const shown = entries.filter(([, value]) => value !== undefined)
  const nameWidth = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${paint(stream, 'bold', name.padEnd(nameWidth))}  ${cell(value)}`).join('\n')
}

function cell(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–'
  if (Array.isArray(value) && value.every(item => typeof item !== 'object')) return printable(value.join(', '))
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value))
}

const segmenter = new Intl.Segmenter()
/** Scripts whose characters take two columns of a terminal. */
const WIDE = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u

function width(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const { segment } of segmenter.segment(text)) columns += WIDE.test(segment) ? 2 : 1
  return columns
}

function cut(text: string, columns: number): string {
  if (width(text) <= columns || columns < 2) return text
  let kept = ''
  for (const { segment } of segmenter.segment(text)) {
    if (width(kept + segment) > columns - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** 95 → "1m 35s". */
export function duration(seconds: number | undefined | null): string {
  if (seconds === undefined || seconds === null) return '–'
  if (seconds < 1) return seconds > 0 ? '<1s' : '0s'
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const
  let rest = Math.floor(seconds)
  const parts: string[] = []
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(`${count}${unit}`)
    if (parts.length === 2) break
  }
  return parts.join(' ')
}

/** @param moment milliseconds since 1970, or ISO 8601. */
export function time(moment: number | string | undefined | null): string {
  if (moment === undefined || moment === null) return '–'
  return new Date(moment)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}
