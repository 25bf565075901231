/** Signs SETs as an issuer of its own, so that the runner decides each `jti` and knows each token byte for byte. */
import { CompactSign, generateKeyPair } from 'jose'

export interface Issuer {
  readonly sign: (jti: string, audience: string, paddingBytes?: number) => Promise<string>
  /** A JWT of any header and claims, signed by a key nobody trusts: for access tokens that must be refused. */
  readonly forge: (header: Record<string, unknown>, claims: Record<string, unknown>) => Promise<string>
}

const ISSUER = 'https://issuer.conformance.example'
const EVENT = 'https://schemas.conformance.example/event/happened'

export async function createIssuer(): Promise<Issuer> {
  const { privateKey } = await generateKeyPair('ES256')
  const forge = (header: Record<string, unknown>, claims: Record<string, unknown>) =>
    new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ ...header, alg: 'ES256' })
      .sign(privateKey)
  return {
    forge,
    sign: (jti, audience, paddingBytes = 0) =>
      forge(
        { typ: 'secevent+jwt', kid: 'conformance' },
        {
          iss: ISSUER,
          iat: Math.floor(Date.now() / 1000),
          jti,
          aud: audience,
          events: { [EVENT]: paddingBytes > 0 ? { padding: 'p'.repeat(paddingBytes) } : {} },
        },
      ),
  }
}

/** RFC 7519 §6: a JWT nobody signed. */
export function unsigned(claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims)}.`
}

export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
}
