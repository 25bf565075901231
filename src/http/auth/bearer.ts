/** The `Authorization` header. Source: RFC 6750 §2.1, §3.1. */
import type { FastifyRequest } from 'fastify'
import { TransmitterError } from '../../errors.ts'

const BEARER = /^bearer(?: +(.*))?$/i

/** @throws {TransmitterError} unauthenticated without a token, bad_request with more than one. */
export function bearerToken({ headers, url, raw }: FastifyRequest): string {
  const token = BEARER.exec(headers.authorization ?? '')?.[1]?.trim()
  if (token === undefined || token === '') throw new TransmitterError('unauthenticated', 'A bearer token is needed.')
  if (hasQueryToken(url) || isRepeated(raw.rawHeaders)) {
    throw new TransmitterError('bad_request', 'The token was sent in more than one way.', {
      challenge: 'error="invalid_request"',
    })
  }
  return token
}

/** Of a repeated header Node.js keeps the first, and something in front of us may have looked at the last. */
function isRepeated(rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 13 && name.toLowerCase() === 'authorization') count += 1
  }
  return count > 1
}

function hasQueryToken(url: string): boolean {
  const query = url.indexOf('?')
  return query >= 0 && new URLSearchParams(url.slice(query)).has('access_token')
}
