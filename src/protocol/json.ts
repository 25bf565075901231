/**
 * JSON from outside: bytes to a value without repair, and the limits every later step relies on.
 * Source: RFC 8259 §8 (UTF-8, byte order mark, unpaired surrogates).
 */
import { isUtf8 } from 'node:buffer'
import type { Fault } from '../errors.ts'

/** Deepest nesting we take: what is stored is written and walked again by recursive code. */
export const JSON_DEPTH_MAX = 64

const BOM = '\ufeff'

/** The text of a body; undefined if the bytes are not UTF-8. A byte order mark is dropped (RFC 8259 §8.1). */
export function decodeUtf8(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString('utf8')
  return text.startsWith(BOM) ? text.slice(1) : text
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @returns true if arrays and objects nest deeper than `levels`. Recursion is bounded by `levels` itself. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const member of Object.values(value)) {
    if (isDeeperThan(member, levels - 1)) return true
  }
  return false
}

/** One step of a JSON pointer (RFC 6901). */
export function pointer(at: string, name: string | number): string {
  return `${at}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/**
 * Faults of a value that has to survive storage as UTF-8 JSON: nesting, unpaired surrogates (they would merge distinct
 * strings), numbers that overflowed while parsing, and, from callers in process, what JSON cannot express.
 */
export function jsonFaults(value: unknown, at: string): Fault[] {
  if (isStorable(value, JSON_DEPTH_MAX)) return []
  // Alone, so that the search below is bounded, also on a cycle.
  if (isDeeperThan(value, JSON_DEPTH_MAX)) return [{ at, message: `nests deeper than ${JSON_DEPTH_MAX} levels` }]
  const faults: Fault[] = []
  find(value, at, faults)
  return faults
}

/** Says yes fast: nearly everything is fine, and only what is not pays for its places. */
function isStorable(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value === 'boolean' || value === null) return true
  if (typeof value !== 'object' || levels === 0) return false
  if (Array.isArray(value)) {
    for (const element of value) {
      if (!isStorable(element, levels - 1)) return false
    }
    return true
  }
  // A Date, say: it would be written as something else than what a digest sees.
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false
  for (const name of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[name]
    // A member that is undefined is absent, as it is in JSON text.
    if (!name.isWellFormed() || (member !== undefined && !isStorable(member, levels - 1))) return false
  }
  return true
}

function find(value: unknown, at: string, faults: Fault[]): void {
  if (Array.isArray(value)) {
    for (const [i, element] of value.entries()) find(element, pointer(at, i), faults)
  } else if (isObject(value) && typeof value.toJSON !== 'function') {
    for (const [name, member] of Object.entries(value)) {
      if (!name.isWellFormed()) faults.push({ at, message: 'has a member name with an unpaired surrogate' })
      else if (member !== undefined) find(member, pointer(at, name), faults)
    }
  } else if (!isStorable(value, 1)) {
    faults.push({ at, message: whatIsWrong(value) })
  }
}

function whatIsWrong(value: unknown): string {
  if (typeof value === 'string') return 'holds an unpaired surrogate'
  return typeof value === 'number' ? 'is not a finite number' : 'is not a JSON value'
}

/** The same text for equal values, whatever the order of their members; for digests. */
export function stableJson(value: unknown): string {
  // Most members come in order, and one call writes them all.
  return isInOrder(value) ? JSON.stringify(value) : orderedJson(value)
}

/** @returns true if `JSON.stringify` writes the members of every object in the order of their names. */
export function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object') return JSON_LEAVES.has(typeof value)
  if (value === null) return true
  if (Array.isArray(value)) return value.every(isInOrder)
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false
  let before = ''
  for (const name of Object.keys(value)) {
    if (name < before) return false
    const member = (value as Record<string, unknown>)[name]
    if (member !== undefined && !isInOrder(member)) return false
    before = name
  }
  return true
}

const JSON_LEAVES: ReadonlySet<string> = new Set(['string', 'number', 'boolean'])

function orderedJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(orderedJson).join(',')}]`
  const members: string[] = []
  for (const name of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[name]
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${orderedJson(member)}`)
  }
  return `{${members.join(',')}}`
}
