/** A transmitter under test, seen from outside: its base URLs, and its internal interface for set-up and a second look. */
import type { Limits } from './vector.ts'

export interface Transmitter {
  readonly publicUrl: URL
  readonly internalUrl: URL
  /** Where `/metrics` is; absent: counters are not looked at. */
  readonly opsUrl: URL | undefined
  readonly adminToken: string
  readonly limits: Limits
  /** What the process has logged so far; absent where it is not ours to read. */
  readonly logLines: (() => readonly string[]) | undefined
  /** How long a change of a receiver may take to reach every process. */
  readonly settlesWithinMs: number
}

export interface ReceiverSettings {
  readonly pageMax?: number
  readonly pollWaitMs?: number
  readonly redeliverAfterMs?: number
  readonly maxAttempts?: number
  readonly parkAfterMs?: number
}

/** Where one SET is; `state` is undefined when the transmitter no longer knows it. */
export interface SetState {
  readonly state: string | undefined
  readonly attempts: unknown
}

export type Listed = Record<string, unknown> & { readonly jti?: string }

export class SetupFailed extends Error {
  override readonly name = 'SetupFailed'
}

/** The enqueued SET was refused for what it is, not for lack of room. */
export class SetRefused extends SetupFailed {}

export class InternalApi {
  readonly #transmitter: Transmitter

  constructor(transmitter: Transmitter) {
    this.#transmitter = transmitter
  }

  async createReceiver(id: string, audience: string, settings: ReceiverSettings): Promise<{ pollUrl: string }> {
    const record = await this.#call('POST', 'v1/receivers', {
      id,
      audience,
      eventTypes: ['*'],
      status: 'enabled',
      settings,
    })
    return { pollUrl: String(record.pollUrl) }
  }

  async patchReceiver(id: string, patch: { status?: string; settings?: ReceiverSettings }): Promise<void> {
    await this.#call('PATCH', `v1/receivers/${id}`, patch)
  }

  async removeReceiver(id: string): Promise<void> {
    await this.#call('DELETE', `v1/receivers/${id}?force=true`)
  }

  async createToken(input: Record<string, unknown>): Promise<{ tokenId: string; token: string }> {
    const { tokenId, token } = await this.#call('POST', 'v1/tokens', input)
    return { tokenId: String(tokenId), token: String(token) }
  }

  async revokeToken(tokenId: string): Promise<void> {
    await this.#call('DELETE', `v1/tokens/${tokenId}`)
  }

  /** @throws {SetRefused} on a 4xx that speaks about the SET itself. */
  async appendSet(receiver: string, set: string): Promise<void> {
    const path = `v1/receivers/${receiver}/sets`
    const response = await this.#fetch('POST', path, set, 'application/secevent+jwt')
    const text = await response.text()
    if (response.status === 202) return
    const Failure = response.status === 400 || response.status === 413 ? SetRefused : SetupFailed
    throw new Failure(`POST /${path} answered ${response.status}: ${text.slice(0, 300)}`)
  }

  async publish(event: Record<string, unknown>): Promise<void> {
    await this.#call('POST', 'v1/events', event)
  }

  async stats(receiver: string): Promise<Record<string, unknown>> {
    return this.#call('GET', `v1/receivers/${receiver}/stats`)
  }

  async setState(receiver: string, jti: string): Promise<SetState> {
    const path = `v1/receivers/${receiver}/sets/${encodeURIComponent(jti)}`
    const response = await this.#fetch('GET', path)
    if (response.status === 404) return { state: undefined, attempts: undefined }
    const { state, attempts } = await parsed(response, `GET /${path}`)
    return { state: String(state), attempts }
  }

  async parked(receiver: string): Promise<Listed[]> {
    return (await this.#call('GET', `v1/receivers/${receiver}/parked?limit=100`)).items as Listed[]
  }

  async errors(receiver: string): Promise<Listed[]> {
    return (await this.#call('GET', `v1/receivers/${receiver}/errors?limit=100`)).items as Listed[]
  }

  /** Sum of the samples of one counter whose labels include the given ones; 0 if there are none. */
  async counter(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const { opsUrl } = this.#transmitter
    if (opsUrl === undefined) return undefined
    const lines = (await (await fetch(new URL('metrics', withSlash(opsUrl)))).text()).split('\n')
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    return lines
      .filter(line => new RegExp(`^${name}[ {]`).test(line) && wanted.every(label => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  async #call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await this.#fetch(method, path, text, 'application/json')
    if (response.status === 204) return {}
    return parsed(response, `${method} /${path}`)
  }

  async #fetch(method: string, path: string, body?: string, contentType?: string): Promise<Response> {
    const { internalUrl, adminToken } = this.#transmitter
    return await fetch(new URL(path, withSlash(internalUrl)), {
      method,
      headers: {
        authorization: `Bearer ${adminToken}`,
        ...(body === undefined || contentType === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body }),
    }).catch(error => {
      throw new SetupFailed(`${method} /${path}: ${error.cause?.message ?? error.message}`)
    })
  }
}

async function parsed(response: Response, what: string): Promise<Record<string, unknown>> {
  const text = await response.text()
  if (!response.ok) throw new SetupFailed(`${what} answered ${response.status}: ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

function withSlash(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.href}/`)
}
