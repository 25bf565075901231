/**
 * Other issuers whose SETs are transmitted, with the key sets that these have to verify with. An issuer that is not
 * configured is not verified: its receivers do that (RFC 8417 §5.1).
 */
import { compactVerify, createRemoteJWKSet, errors } from 'jose'
import { SetupError, TransmitterError } from '../errors.ts'
import { SIGNING_ALGS } from './algorithms.ts'

/** Never symmetric, never none; what else an issuer may sign with (RFC 8725 §3.1). */
const ALGORITHMS = [...SIGNING_ALGS, 'ES384', 'ES512', 'RS384', 'RS512', 'PS384', 'PS512', 'Ed25519']
const TIMEOUT_MS = 5000

export class ForeignIssuers {
  readonly #keySets: ReadonlyMap<string, ReturnType<typeof createRemoteJWKSet>>

  /**
   * @param text JSON: issuer → URL of its key set.
   * @throws {SetupError} without the text.
   */
  constructor(text: string | undefined) {
    this.#keySets = new Map(
      Object.entries(parse(text)).map(([issuer, url]) => [
        issuer,
        createRemoteJWKSet(new URL(url), { timeoutDuration: TIMEOUT_MS }),
      ]),
    )
  }

  /**
   * @returns false if the issuer is configured and none of its keys signed the token.
   * @throws {TransmitterError} issuer_unavailable while its keys cannot be had.
   */
  async isGenuine(token: string, issuer: string): Promise<boolean> {
    const keySet = this.#keySets.get(issuer)
    if (keySet === undefined) return true
    try {
      await compactVerify(token, keySet, { algorithms: ALGORITHMS })
      return true
    } catch (cause) {
      if (isAboutTheToken(cause)) return false
      throw new TransmitterError('issuer_unavailable', 'The keys of the issuer cannot be had.', {
        retryAfterSeconds: 5,
        cause,
      })
    }
  }
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  )
}

function parse(text: string | undefined): Record<string, string> {
  if (text === undefined) return {}
  try {
    const issuers = JSON.parse(text) as Record<string, string>
    if (typeof issuers === 'object' && issuers !== null && Object.values(issuers).every(isFetchable)) return issuers
  } catch {
    // Told below, without the text.
  }
  throw new SetupError('FOREIGN_ISSUERS: not a JSON object of issuer to the https URL of its key set.')
}

/** Keys come over TLS, or from loopback on a development machine. */
function isFetchable(url: unknown): boolean {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname))
}
