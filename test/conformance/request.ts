/** Turns the request of a vector into the bytes to send. */
import type { RawRequest } from './raw-http.ts'
import { type Amount, amount, type Limits, NotRun, type VectorRequest } from './vector.ts'

/** Resolves `NAME` of `${NAME}`; undefined where the runner does not know the name. */
export type Placeholders = (name: string) => Promise<string | undefined>

const PLACEHOLDER = /\$\{([A-Z][A-Z0-9_]*)\}/g

export async function buildRequest(
  request: VectorRequest,
  placeholders: Placeholders,
  limits: Limits,
): Promise<RawRequest> {
  const fill = (text: string) => fillIn(text, placeholders)
  const headers: [string, string][] = []
  for (const [name, values] of Object.entries(request.headers ?? {})) {
    for (const value of typeof values === 'string' ? [values] : values) headers.push([name, await fill(value)])
  }
  const stall = request.bodyGenerate?.stall
  const body = await bodyOf(request, placeholders, limits)
  const announced = stall === undefined ? body : withRoom(body, stall)
  return {
    method: request.method ?? 'POST',
    target: request.target === undefined ? await known('POLL', placeholders) : await fill(request.target),
    headers,
    body: announced,
    ...(stall === undefined ? {} : { stallAfterBytes: stallBytes(stall, body.length, limits) }),
  }
}

async function fillIn(text: string, placeholders: Placeholders): Promise<string> {
  let filled = text
  for (const [whole, name = ''] of text.matchAll(PLACEHOLDER)) {
    const value = await known(name, placeholders)
    filled = filled.replace(whole, () => value)
  }
  return filled
}

/** @throws {NotRun} for a name nobody here knows. */
async function known(name: string, placeholders: Placeholders): Promise<string> {
  const value = await placeholders(name)
  if (value === undefined) throw new NotRun(`unknown placeholder ${name}`)
  return value
}

async function bodyOf(request: VectorRequest, placeholders: Placeholders, limits: Limits): Promise<Buffer> {
  if (request.bodyBase64 !== undefined) return Buffer.from(request.bodyBase64, 'base64')
  const text =
    request.bodyText ??
    (request.bodyGenerate === undefined
      ? request.body === undefined
        ? ''
        : JSON.stringify(request.body)
      : generate(request.bodyGenerate, limits))
  // What looks like an unknown placeholder inside a body may be the hostile text it is about: it stays.
  return Buffer.from(await fillIn(text, async name => (await placeholders(name)) ?? `\${${name}}`))
}

interface Repetition {
  readonly text: string
  readonly times: Amount
  readonly separator?: string
}

function generate(recipe: Readonly<Record<string, unknown>>, limits: Limits): string {
  const template = recipe.template ?? recipe.text ?? textOf(recipe.stall, limits)
  if (typeof template !== 'string') throw new NotRun('bodyGenerate without a template')
  return template.replace(/<([A-Za-z][A-Za-z0-9_]*)>/g, (whole, name: string) => {
    const part = recipe[name] as Repetition | undefined
    return part === undefined ? whole : repeat(part, limits)
  })
}

function repeat({ text, times, separator = '' }: Repetition, limits: Limits): string {
  const count = amount(times, limits)
  return Array.from({ length: count }, (_, index) => text.replaceAll('{i}', String(index))).join(separator)
}

/** What is announced must be more than what is sent, or nothing would be missing. */
function withRoom(body: Buffer, stall: unknown): Buffer {
  return typeof stall === 'number' && stall < body.length ? body : Buffer.concat([body, Buffer.alloc(64, ' ')])
}

/** `stall`: bytes, an amount, a text (as it is or repeated), or `true` for half of the body. */
function stallBytes(stall: unknown, bodyBytes: number, limits: Limits): number {
  if (typeof stall === 'number') return stall
  if (stall === true) return Math.ceil(bodyBytes / 2)
  if (typeof stall === 'string' && /^(\d+|C|W|bodyCap)\s*([+-]\s*\d+)?$/.test(stall)) return amount(stall, limits)
  const text = textOf(stall, limits)
  if (text === undefined) throw new NotRun(`unknown stall ${JSON.stringify(stall)}`)
  return Buffer.byteLength(text)
}

function textOf(stall: unknown, limits: Limits): string | undefined {
  if (typeof stall === 'string') return stall
  const part = stall as Partial<Repetition> | null | undefined
  return typeof part?.text === 'string' ? repeat({ times: 1, ...part, text: part.text }, limits) : undefined
}

/** Every value a receiver sent, for the rule that errors repeat none of them. */
export function submittedValues(request: RawRequest): string[] {
  const body = request.body.toString('utf8')
  const values = new Set<string>()
  for (const [name, value] of request.headers) {
    if (/^(host|connection|content-length|transfer-encoding)$/i.test(name)) continue
    values.add(value)
    values.add(value.replace(/^\S+\s+/, ''))
  }
  const query = request.target.split('?')[1]
  if (query !== undefined) for (const [, value] of new URLSearchParams(query)) values.add(value)
  if (body.length <= 4096) values.add(body.trim())
  for (const [, quoted = ''] of body.matchAll(/"((?:[^"\\]|\\.){3,200})"/g)) {
    if (values.size > 200) break
    values.add(quoted)
  }
  return [...values].filter(value => value !== '{}')
}
