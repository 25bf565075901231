/** The closed list of signature algorithms, and what a key for each has to be. Source: RFC 7518 §3, RFC 8037 §3.1. */
import type { JWK } from 'jose'
import { SIGNING_ALGS, type SigningAlg } from '../protocol/receiver.ts'

export { SIGNING_ALGS, type SigningAlg }

export const RSA_BITS_MIN = 2048

export function isSigningAlg(alg: unknown): alg is SigningAlg {
  return SIGNING_ALGS.includes(alg as SigningAlg)
}

/** @returns what is wrong with using this key for this algorithm; undefined if it fits. */
export function keyMisfit(jwk: JWK, alg: SigningAlg): string | undefined {
  switch (alg) {
    case 'ES256':
      return jwk.kty === 'EC' && jwk.crv === 'P-256' ? undefined : 'ES256 needs an EC key on P-256'
    case 'EdDSA':
      return jwk.kty === 'OKP' && jwk.crv === 'Ed25519' ? undefined : 'EdDSA needs an OKP key on Ed25519'
    case 'RS256':
    case 'PS256':
      if (jwk.kty !== 'RSA') return `${alg} needs an RSA key`
      return modulusBits(jwk) >= RSA_BITS_MIN ? undefined : `an RSA key needs at least ${RSA_BITS_MIN} bits`
  }
}

function modulusBits(jwk: JWK): number {
  const modulus = Buffer.from(jwk.n ?? '', 'base64url')
  const first = modulus.findIndex(byte => byte !== 0)
  return first === -1 ? 0 : (modulus.length - first) * 8 - (Math.clz32(modulus[first] ?? 0) - 24)
}

const PUBLIC_MEMBERS = ['kty', 'crv', 'x', 'y', 'n', 'e'] as const

/** Named members only, so that a private one can never slip through. */
export function publicMembers(jwk: JWK): JWK {
  const members: JWK = {}
  for (const name of PUBLIC_MEMBERS) {
    const value = jwk[name]
    if (typeof value === 'string') members[name] = value
  }
  return members
}
