/** Calls to the internal listener, and what their failures mean to a person. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { checkUrl } from '../client/checks.ts'
import { type Answer, exchange, parseObject, reasonOf } from '../client/http.ts'
import { type Cli, CliError, UsageError } from './cli.ts'

export interface RemoteOptions {
  readonly url?: string
  readonly token?: string
  readonly allowPlainHttp?: boolean
  readonly json?: boolean
}

/** The options of every command that talks to a running transmitter. */
export function remote(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'internal listener (SETSTREAM_URL; else http://127.0.0.1:8081)'))
    .addOption(new Option('--token <token>', 'credential (SETSTREAM_TOKEN, ADMIN_TOKEN, DATA_DIR/admin-token)'))
    .addOption(new Option('--allow-plain-http', 'plain HTTP to another machine: it can read the token'))
    .option('--json', 'JSON, one value a line')
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next?: string
}

const REQUEST_TIMEOUT_MS = 60_000
const ANSWER_BYTES_MAX = 256 * 1024 * 1024
const PAGE_LIMIT = 500

export class Api {
  readonly url: string
  readonly token: string
  readonly #tokenFrom: string

  constructor(cli: Cli, options: RemoteOptions) {
    this.url = internalUrl(cli, options)
    const { token, from } = findToken(cli, options)
    this.token = token
    this.#tokenFrom = from
  }

  get<T>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
    return this.#call('GET', search.size > 0 ? `${path}?${search}` : path, undefined)
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#call('POST', path, body)
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#call('PATCH', path, body)
  }

  delete<T>(path: string, body?: unknown): Promise<T> {
    return this.#call('DELETE', path, body)
  }

  /** Every item of a paged list, or the first `countMax`. */
  async *list<Item>(path: string, countMax: number = Number.POSITIVE_INFINITY): AsyncGenerator<Item, void, undefined> {
    let cursor: string | undefined
    let left = countMax
    while (left > 0) {
      const page: Page<Item> = await this.get(path, { limit: Math.min(left, PAGE_LIMIT), cursor })
      yield* page.items
      left -= page.items.length
      if (page.next === undefined) return
      cursor = page.next
    }
  }

  async #call<T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body: unknown): Promise<T> {
    let answer: Answer
    try {
      answer = await exchange({
        method,
        url: this.url + path,
        headers: {
          authorization: `Bearer ${this.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        timeoutMs: REQUEST_TIMEOUT_MS,
        answerBytesMax: ANSWER_BYTES_MAX,
        signal: undefined,
        fetch: globalThis.fetch,
      })
    } catch (error) {
      throw new CliError(
        `The transmitter at ${this.url} cannot be reached: ${reasonOf(error)}.`,
        'Start it with `setstream serve`, or name its internal listener with --url or SETSTREAM_URL.',
      )
    }
    if (answer.status >= 200 && answer.status < 300) {
      if (answer.text === '') return undefined as T
      const value = parseObject(answer.text)
      if (value !== undefined) return value as T
    }
    throw this.#failure(answer)
  }

  #failure(answer: Answer): CliError {
    const problem = parseObject(answer.text)
    const detail = problem?.detail ?? problem?.title
    const what = typeof detail === 'string' ? detail : `The answer of ${this.url} was ${answer.status}.`
    const faults = Array.isArray(problem?.faults) ? (problem.faults as { at?: unknown; message?: unknown }[]) : []
    const message = [what, ...faults.map(({ at, message }) => `  ${at || '(the whole)'} ${message}`)].join('\n')
    if (problem === undefined) {
      return new CliError(message, 'This does not look like the internal listener of setstream: check --url.')
    }
    switch (answer.status) {
      case 401:
        return new CliError(
          message,
          `The token came from ${this.#tokenFrom}. Give another with --token or SETSTREAM_TOKEN.`,
        )
      case 403:
        return new CliError(message, `The token came from ${this.#tokenFrom}. Use one of a scope that may do this.`)
      case 429:
      case 503: {
        const seconds = Math.ceil((answer.retryAfterMs ?? 1000) / 1000)
        return new CliError(message, `Nothing is lost. Try again in ${seconds} s.`)
      }
      default:
        return new CliError(message)
    }
  }
}

/** A path segment. */
export const segment = encodeURIComponent

function internalUrl({ env }: Cli, options: RemoteOptions): string {
  const given = options.url ?? nonEmpty(env.SETSTREAM_URL)
  const scheme = nonEmpty(env.INTERNAL_TLS_CERT_FILE) === undefined ? 'http' : 'https'
  const url = given ?? `${scheme}://${nonEmpty(env.INTERNAL_LISTEN) ?? '127.0.0.1:8081'}`
  return checked('--url', url, options.allowPlainHttp === true || env.ALLOW_PLAIN_HTTP_INTERNAL === 'yes')
}

export function checked(name: string, url: string, allowPlainHttp: boolean): string {
  try {
    return checkUrl(name, url, allowPlainHttp).href.replace(/\/+$/, '')
  } catch (error) {
    throw new UsageError(`${(error as Error).message.replace('(allowPlainHttp)', '(--allow-plain-http)')}.`)
  }
}

function findToken({ env }: Cli, options: RemoteOptions): { token: string; from: string } {
  if (options.token !== undefined) return { token: options.token, from: '--token' }
  for (const name of ['SETSTREAM_TOKEN', 'ADMIN_TOKEN']) {
    const token = nonEmpty(env[name])
    if (token !== undefined) return { token, from: name }
  }
  const path = join(nonEmpty(env.DATA_DIR) ?? '.data', 'admin-token')
  try {
    return { token: readFileSync(path, 'utf8').trim(), from: path }
  } catch {
    throw new UsageError(
      'There is no token to authenticate with.',
      `Give --token or SETSTREAM_TOKEN, or run this where the transmitter keeps its data (${path} was looked for).`,
    )
  }
}

export function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
