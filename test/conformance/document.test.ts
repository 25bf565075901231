/** docs/conformance.md stays true: every row is there once, and every file, test and vector that it names exists. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readVectors, vectorFiles } from './vector.ts'

const ROOT = new URL('../../', import.meta.url)
const document = await readFile(new URL('docs/conformance.md', ROOT), 'utf8')
const vectors = (await Promise.all(vectorFiles.map(readVectors))).flat()

interface Row {
  readonly id: string
  readonly keptIn: string
  readonly shownBy: string
}

/** Lines of tables that begin with a row or a decision alone, as departures and choices do not. */
const rows: Row[] = document.split('\n').flatMap(line => {
  const cells = line.split(' | ')
  const id = /^\| ([PD]-\d+)$/.exec(cells[0] ?? '')?.[1]
  if (id === undefined || cells.length !== 5) return []
  return [{ id, keptIn: cells[3] as string, shownBy: (cells[4] as string).replace(/ ?\|$/, '') }]
})

/** Code spans, also those in double backticks that hold a backtick. */
const codeIn = (text: string) => [...text.matchAll(/``(.+?)``|`([^`]+)`/g)].map(([, a, b]) => (a ?? b) as string)
const vectorsIn = (text: string) => [...text.matchAll(/\b[VX]-\d{3}\b/g)].map(([id]) => id)
/** What stands before a remark. */
const references = ({ shownBy }: Row) => shownBy.split(' — ', 1)[0] as string
const isPath = (code: string) => /^(src|workers|test|docs|scripts|bench|ops)\/\S+\.\w+$/.test(code)

/** Tests that a row names, each under the file that stands before it. */
function testsOf(row: Row): { file: string; title: string }[] {
  let file = ''
  return codeIn(references(row)).flatMap(code => {
    if (!isPath(code)) return [{ file, title: code }]
    file = code
    return []
  })
}

const sources = new Map<string, Promise<string>>()
function sourceOf(file: string): Promise<string> {
  let source = sources.get(file)
  if (source === undefined) {
    source = readFile(new URL(file, ROOT), 'utf8')
    sources.set(file, source)
  }
  return source
}

/** As a string literal of the file, in any quotes. */
function holds(source: string, title: string): boolean {
  return [`'${title.replaceAll("'", "\\'")}'`, `"${title}"`, `\`${title}\``].some(literal => source.includes(literal))
}

const numbered = (letter: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${letter}-${String(i + 1).padStart(2, '0')}`)

describe('the conformance document', () => {
  it('has every requirement and every decision once, in order', () => {
    expect(rows.map(({ id }) => id)).toEqual([...numbered('P', 202), ...numbered('D', 28)])
  })

  it('names files that are there', () => {
    const missing = codeIn(document).filter(code => isPath(code) && !existsSync(fileURLToPath(new URL(code, ROOT))))
    expect(missing).toEqual([])
  })

  it('names tests that are there, by the words they have in their file', async () => {
    const missing: string[] = []
    for (const row of rows) {
      for (const { file, title } of testsOf(row)) {
        if (!/\.test\.ts$/.test(file) || !holds(await sourceOf(file), title))
          missing.push(`${row.id} ${file}: ${title}`)
      }
    }
    expect(missing).toEqual([])
  })

  it('names with each row all vectors that are about it, and vectors that are there', () => {
    const known = new Set(vectors.map(({ id }) => id))
    expect(vectorsIn(document).filter(id => !known.has(id))).toEqual([])
    const lacking = rows.flatMap(row => {
      const named = new Set(vectorsIn(references(row)))
      return vectors
        .filter(({ id, requirements }) => requirements?.includes(row.id) === true && !named.has(id))
        .map(({ id }) => `${row.id} ${id}`)
    })
    expect(lacking).toEqual([])
  })

  it('says of every requirement which test shows it, or why there is none', () => {
    const silent = rows.filter(
      row =>
        row.id.startsWith('P') &&
        testsOf(row).length + vectorsIn(references(row)).length === 0 &&
        !/^_(review|organisation|not met)_: /.test(row.shownBy),
    )
    expect(silent.map(({ id }) => id)).toEqual([])
  })
})
