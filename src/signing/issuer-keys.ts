/**
 * The public keys of an OAuth issuer: found through its metadata, read in the background, and kept while it is away.
 * Source: RFC 8414 §3 (metadata), OpenID Connect Discovery 1.0 §4, RFC 7517 §5 (key set).
 */
import { type CompactJWSHeaderParameters, createRemoteJWKSet, customFetch, type FlattenedJWSInput } from 'jose'

/** What changed at the issuer, such as a key taken out of use, counts here after this long. */
const REFRESH_MS = 300_000
/** The issuer's answers are small; anything else is not one. */
const BYTES_MAX = 1_048_576
const TIMEOUT_MS = 5000
/** After a failure nothing is asked of the issuer for this long, whatever tokens come in. */
const FAILURE_PAUSE_MS = 5000
/** A token that names an unknown key makes us look again, at most so often. */
const UNKNOWN_KEY_PAUSE_MS = 30_000
/** Who keeps us from reaching the issuer must not keep a key alive for ever that it has withdrawn. */
const UNCONFIRMED_MS_MAX = 86_400_000

type KeySet = ReturnType<typeof createRemoteJWKSet>

/** No key can be had: it is unknown whether a token is good. */
export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable'
}

export class IssuerKeys {
  readonly #issuer: string
  readonly #onTrouble: (error: unknown) => void
  #keySet: { readonly uri: string; readonly keys: KeySet } | undefined
  #confirmedAtMs = 0
  #failedAtMs = Number.NEGATIVE_INFINITY
  #refreshing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param onTrouble told of each failed refresh in the background. */
  constructor(issuer: string, onTrouble: (error: unknown) => void) {
    this.#issuer = issuer
    this.#onTrouble = onTrouble
  }

  start(): void {
    const refresh = () => void this.#refresh().catch(this.#onTrouble)
    refresh()
    this.#timer = setInterval(refresh, REFRESH_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** For `jwtVerify`. @throws {IssuerUnavailable}, and what jose throws where no key fits. */
  readonly keyFor = async (header: CompactJWSHeaderParameters, token: FlattenedJWSInput) => {
    if (this.#keySet === undefined || Date.now() - this.#confirmedAtMs > UNCONFIRMED_MS_MAX) {
      await this.#refresh().catch(cause => {
        throw new IssuerUnavailable('no key of the issuer can be had', { cause })
      })
    }
    const { keys } = this.#keySet as { keys: KeySet }
    return keys(header, token).catch(error => {
      // The known keys were looked at first. While the issuer is away a token by another key is neither good nor bad.
      if (error instanceof FetchFailed) throw new IssuerUnavailable('the issuer cannot be reached', { cause: error })
      throw error
    })
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#discover().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #discover(): Promise<void> {
    try {
      const uri = await this.#keySetUri()
      const known = this.#keySet
      if (known?.uri === uri) await known.keys.reload()
      else {
        const keys = createRemoteJWKSet(new URL(uri), {
          timeoutDuration: TIMEOUT_MS,
          cooldownDuration: UNKNOWN_KEY_PAUSE_MS,
          // Old keys are better than none; a refresh replaces them.
          cacheMaxAge: Number.POSITIVE_INFINITY,
          [customFetch]: (url, options) => this.#fetchKeys(url, options),
        })
        await keys.reload()
        this.#keySet = { uri, keys }
      }
      this.#confirmedAtMs = Date.now()
    } catch (error) {
      if (!(error instanceof Paused)) this.#failedAtMs = Date.now()
      throw error
    }
  }

  async #keySetUri(): Promise<string> {
    this.#refuseWhilePaused()
    const { origin, pathname } = new URL(this.#issuer)
    const path = pathname.replace(/\/+$/, '')
    const places = [
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]
    let failure: unknown
    for (const place of places) {
      try {
        const headers = { accept: 'application/json' }
        const text = await read(place, { headers, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
        const metadata = JSON.parse(text) as { issuer?: unknown; jwks_uri?: unknown }
        // RFC 8414 §3.3: otherwise one issuer could speak for another.
        if (metadata.issuer !== this.#issuer) throw new FetchFailed(`${place} is the metadata of another issuer`)
        return this.#trusted(metadata.jwks_uri)
      } catch (error) {
        failure ??= error
      }
    }
    throw failure
  }

  /** Keys come over TLS, or from the loopback issuer of a development machine. */
  #trusted(uri: unknown): string {
    const url = typeof uri === 'string' && URL.canParse(uri) ? new URL(uri) : undefined
    const isPlainAllowed = this.#issuer.startsWith('http:') && isLoopback(url?.hostname ?? '')
    if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isPlainAllowed)) return url.href
    throw new FetchFailed('the metadata of the issuer name no key set that is reached over TLS')
  }

  async #fetchKeys(url: string, options: RequestInit): Promise<Response> {
    this.#refuseWhilePaused()
    try {
      return new Response(await read(url, options))
    } catch (error) {
      this.#failedAtMs = Date.now()
      throw error
    }
  }

  #refuseWhilePaused(): void {
    if (Date.now() - this.#failedAtMs < FAILURE_PAUSE_MS) throw new Paused('the issuer failed a moment ago')
  }
}

class FetchFailed extends Error {
  override readonly name: string = 'FetchFailed'
}

class Paused extends FetchFailed {
  override readonly name = 'Paused'
}

/** @returns JSON. @throws {FetchFailed} */
async function read(url: string, options: RequestInit): Promise<string> {
  try {
    const response = await fetch(url, options)
    if (response.status !== 200) throw new Error(`answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > BYTES_MAX) throw new Error(`more than ${BYTES_MAX} bytes`)
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString()
    JSON.parse(text)
    return text
  } catch (cause) {
    throw new FetchFailed(`${url} cannot be read`, { cause })
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
