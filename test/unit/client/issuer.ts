/** An issuer of SETs for tests: real keys, and tokens that are right unless the test says otherwise. */
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose'

export interface TestIssuer {
  readonly issuer: string
  readonly jwk: JWK
  readonly key: CryptoKey
  token(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
}

export const AUDIENCE = 'https://receiver.example'

let issued = 0

export async function testIssuer(issuer = 'https://issuer.example', alg = 'ES256'): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const kid = `k-${++issued}`
  return {
    issuer,
    key: privateKey,
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    token: (claims = {}, header = {}) =>
      new CompactSign(
        new TextEncoder().encode(
          JSON.stringify({
            iss: issuer,
            iat: 1_700_000_000,
            jti: 'j-1',
            aud: AUDIENCE,
            events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} },
            ...claims,
          }),
        ),
      )
        .setProtectedHeader({ alg, typ: 'secevent+jwt', kid, ...header })
        .sign(privateKey),
  }
}

/** A token whose parts are given, with whatever stands for a signature. */
export function forged(header: object, claims: object, signature = 'c2ln'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(claims)}.${signature}`
}
