/** Reads the values of options. Commander turns what is thrown here into a usage message. */
import { InvalidArgumentError } from 'commander'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export function atLeastOne(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It is a whole number above 0.')
  return Number(text)
}

/** `500ms`, `30s`, `15m`, `12h`, `7d` → milliseconds. */
export function durationMs(text: string): number {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text)
  if (match === null) throw new InvalidArgumentError('It is a number with a unit, such as 30s, 15m, 12h or 7d.')
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

/** A moment: ISO 8601, or a duration before now. → milliseconds since 1970 */
export function moment(text: string, nowMs: number = Date.now()): number {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) return nowMs - durationMs(text)
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError('It is a time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h.')
  }
  return ms
}

export function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {}
  throw new InvalidArgumentError('It is a JSON object, such as \'{"format":"email","email":"a@example.com"}\'.')
}

/** For options that may be given several times. */
export function each(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}

/** `name=value`, several times → one object; a value that reads as JSON is that value. */
export function setting(text: string, before: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is name=value, such as redeliverAfterMs=30000.')
  const name = text.slice(0, at)
  const raw = text.slice(at + 1)
  const value = /^(-?\d+(\.\d+)?|true|false|null)$/.test(raw) ? JSON.parse(raw) : raw
  return { ...before, [name]: value }
}
