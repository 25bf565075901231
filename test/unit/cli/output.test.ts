import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { duration, printable, sheet, table, time } from '../../../src/cli/output.ts'

/** As far as tables look: whether it is a terminal, and how wide. */
const stream = (columns?: number) =>
  Object.assign(new Writable(), { isTTY: columns !== undefined, columns, getColorDepth: () => 1 }) as never

const columns = [
  { title: 'NAME', value: (row: { name: string }) => row.name },
  { title: 'COUNT', value: (row: { count?: number }) => row.count, align: 'right' as const },
  { title: 'TEXT', value: (row: { text?: string }) => row.text },
]

describe('a table', () => {
  const rows = [
    { name: 'a', count: 5, text: 'a rather long text' },
    { name: '漢字', count: 12345 },
  ]

  it('aligns what takes one and what takes two columns, and cuts nothing in a pipe', () => {
    expect(table(stream(), columns, rows)).toBe(
      ['NAME  COUNT  TEXT', 'a         5  a rather long text', '漢字  12345  –'].join('\n'),
    )
  })

  it('cuts its last column where a terminal ends', () => {
    expect(table(stream(20), columns, rows).split('\n')[1]).toBe('a         5  a rath…')
  })
})

it('a sheet leaves out what is not there', () => {
  expect(
    sheet(stream(), [
      ['a', 1],
      ['long', ['x', 'y']],
      ['none', undefined],
      ['object', { a: 1 }],
    ]),
  ).toBe('a       1\nlong    x, y\nobject  {"a":1}')
})

it('what came from elsewhere cannot steer the terminal', () => {
  for (const [text, shown] of [
    ['\u001b[2J', '\\u{1b}[2J'],
    ['a\nb\r', 'a\\nb\\u{d}'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['\u009b31m', '\\u{9b}31m'],
    ['héllo 漢 🎉', 'héllo 漢 🎉'],
  ] as const) {
    expect(printable(text)).toBe(shown)
  }
})

it('times are read at a glance', () => {
  expect([0, 0.4, 59, 95, 3_600, 90_061, undefined].map(duration)).toEqual([
    '0s',
    '<1s',
    '59s',
    '1m 35s',
    '1h',
    '1d 1h',
    '–',
  ])
  expect(time('2026-01-31T12:00:00.123Z')).toBe('2026-01-31 12:00:00Z')
  expect(time(undefined)).toBe('–')
})
