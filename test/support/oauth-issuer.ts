/** An OAuth issuer on loopback: metadata, a key set that can change, and access tokens with any defect. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose'

export interface OAuthIssuer {
  readonly issuer: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** A further key, in the set from now on. @returns its kid. */
  addKey(alg?: string): Promise<string>
  removeKey(kid: string): void
  /** Signs whatever it is given, by the newest key if none is named. */
  sign(header: Record<string, unknown>, claims: Record<string, unknown>, kid?: string): Promise<string>
  /** A good access token, but for what is given. `undefined` takes a claim away. */
  accessToken(claims?: Record<string, unknown>, header?: Record<string, unknown>, kid?: string): Promise<string>
  publicJwk(kid: string): JWK
  /** Ends it; `start` brings it back at the same place. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Answers instead of the issuer. */
  answer: RequestListener | undefined
}

export const AUDIENCE = 'https://transmitter.example'

export async function startIssuer(path = ''): Promise<OAuthIssuer> {
  const keys = new Map<string, { alg: string; privateKey: CryptoKey; jwk: JWK }>()
  const asked: string[] = []
  let server: Server | undefined
  let port = 0
  let count = 0
  const documents = (): Record<string, unknown> => {
    const metadata = { issuer: issuer.issuer, jwks_uri: `${origin()}/keys` }
    return {
      [`/.well-known/oauth-authorization-server${path}`]: metadata,
      '/keys': { keys: [...keys.values()].map(({ jwk }) => jwk) },
    }
  }
  const origin = () => `http://127.0.0.1:${port}`
  const issuer: OAuthIssuer = {
    get issuer() {
      return origin() + path
    },
    asked,
    answer: undefined,
    async addKey(alg = 'ES256') {
      const kid = `key-${++count}`
      const { privateKey, publicKey } = await generateKeyPair(alg)
      keys.set(kid, { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } })
      return kid
    },
    removeKey: kid => void keys.delete(kid),
    sign(header, claims, kid = [...keys.keys()].at(-1) ?? '') {
      const { privateKey, alg } = keys.get(kid) as { privateKey: CryptoKey; alg: string }
      return new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ kid, ...header, alg })
        .sign(privateKey, { crit: { x: true } })
    },
    accessToken(claims = {}, header = {}, kid) {
      const now = Math.floor(Date.now() / 1000)
      const good = { iss: issuer.issuer, aud: AUDIENCE, iat: now, exp: now + 300, jti: `t${++count}`, sub: 'c1' }
      return issuer.sign({ typ: 'at+jwt', ...header }, { ...good, client_id: 'c1', scope: 'poll', ...claims }, kid)
    },
    publicJwk: kid => keys.get(kid)?.jwk as JWK,
    async start() {
      server = createServer((request, response) => {
        asked.push(request.url ?? '')
        if (issuer.answer !== undefined) return issuer.answer(request, response)
        const document = documents()[request.url ?? '']
        response.statusCode = document === undefined ? 404 : 200
        response.end(JSON.stringify(document ?? {}))
      })
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
    },
    async stop() {
      if (server === undefined) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      server = undefined
    },
  }
  await issuer.start()
  await issuer.addKey()
  return issuer
}
