/**
 * JSON.parse that reads every member name as it is written.
 *
 * V8 guesses a name from the objects it parsed before, and compares its guess with the text before unescaping: once
 * anyone has sent the name `\`, the names `"` and `\n` are read as `\` by everyone in this process (seen in Node 24 and
 * 26; nodejs/node#63785). Names are jtis here, and one receiver must not reach another's. A text whose names hold no
 * escape, which is nearly every text, is parsed as usual.
 */
import { isDeeperThan, JSON_DEPTH_MAX } from './json.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/** @throws {SyntaxError} whose message may quote the text. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!text.includes('\\')) return value
  const names = memberNames(text)
  // What nests too deeply is refused by whoever asked for it; it must only not exhaust the stack here.
  if (!names.some(name => name.escaped) || isDeeperThan(value, JSON_DEPTH_MAX)) return value
  let plain = ''
  let at = 0
  for (const { start, end } of names) {
    plain += `${text.slice(at, start)}"${encode(JSON.parse(text.slice(start, end)))}"`
    at = end
  }
  return withNamesDecoded(JSON.parse(plain + text.slice(at)))
}

interface MemberName {
  /** Of the opening quote. */
  readonly start: number
  /** After the closing quote. */
  readonly end: number
  readonly escaped: boolean
}

/** @param text valid JSON. */
function memberNames(text: string): MemberName[] {
  const names: MemberName[] = []
  let end = 0
  for (let start = text.indexOf('"'); start !== -1; start = text.indexOf('"', end)) {
    let escaped = false
    for (end = start + 1; text.charCodeAt(end) !== QUOTE; end++) {
      if (text.charCodeAt(end) !== BACKSLASH) continue
      escaped = true
      end++
    }
    end++
    let next = end
    while (text.charCodeAt(next) <= 0x20) next++
    if (text.charCodeAt(next) === COLON) names.push({ start, end, escaped })
  }
  return names
}

/** Letters and digits only, and never integer-like, so that neither guesses nor reordering can touch it. */
function encode(name: string): string {
  return `x${Buffer.from(name, 'utf16le').toString('hex')}`
}

function withNamesDecoded(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withNamesDecoded)
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      Buffer.from(name.slice(1), 'hex').toString('utf16le'),
      withNamesDecoded(member),
    ]),
  )
}
