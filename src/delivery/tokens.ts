/** Opaque credentials: made, listed, revoked. The secret is shown once; Redis holds its SHA-256 only. */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Static, Type } from '@sinclair/typebox'
import { type Fault, TransmitterError } from '../errors.ts'
import { RECEIVER_ID_PATTERN } from '../protocol/receiver.ts'
import { schemaFaults } from '../protocol/schema-faults.ts'
import type { ListPage } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import { sha256Of, type TokenRecord, type TokenStore, tokenIdOf } from '../store/token-store.ts'

export const TokenInput = Type.Object(
  {
    scope: Type.Union(
      ['poll', 'publish', 'admin', 'read'].map(scope => Type.Literal(scope as TokenRecord['scope'])),
      { description: 'poll, publish, admin or read.' },
    ),
    receiver: Type.Optional(Type.String({ pattern: RECEIVER_ID_PATTERN, description: 'Of a poll token.' })),
    producer: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
        description: 'Of a publish token; stable over rotation.',
      }),
    ),
    receivers: Type.Optional(
      Type.Array(Type.String({ pattern: RECEIVER_ID_PATTERN }), { maxItems: 1000, uniqueItems: true }),
    ),
    eventTypes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 1000, uniqueItems: true }),
    ),
    foreign: Type.Optional(Type.Boolean({ description: 'May append SETs issued elsewhere.' })),
    description: Type.Optional(Type.String({ maxLength: 1024 })),
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 315_360_000 })),
  },
  { additionalProperties: false },
)
export type TokenInput = Static<typeof TokenInput>

export interface TokensDependencies {
  readonly store: TokenStore
  readonly registry: Registry
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 40 // 62^40 > 2^238
const CHECKSUM_LENGTH = 6

/** `sst_`, random digits, and a CRC-32 of them, so that typos and secret scanners' finds are told apart from real ones. */
export function newToken(): string {
  let random = ''
  while (random.length < RANDOM_LENGTH) {
    // 248 is the largest multiple of 62 that a byte holds: without the rest every digit is equally likely.
    for (const byte of randomBytes(64)) if (byte < 248 && random.length < RANDOM_LENGTH) random += DIGITS[byte % 62]
  }
  return `sst_${random}${checksum(random)}`
}

/** @returns false for what can never have been one of our tokens; needs no look-up. */
export function isTokenWellFormed(token: string): boolean {
  const match = /^sst_([0-9A-Za-z]{40})([0-9A-Za-z]{6})$/.exec(token)
  return match !== null && checksum(match[1] ?? '') === match[2]
}

function checksum(random: string): string {
  let rest = crc32(random)
  let digits = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    digits = DIGITS[rest % 62] + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

export class Tokens {
  readonly #deps: TokensDependencies

  constructor(deps: TokensDependencies) {
    this.#deps = deps
  }

  /** @throws {TransmitterError} bad_request with every fault */
  async create(input: unknown): Promise<{ tokenId: string; token: string; expiresAt?: string }> {
    const faults = schemaFaults(TokenInput, input)
    const valid = input as TokenInput
    if (faults.length === 0) faults.push(...(await this.#scopeFaults(valid)))
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The token is not valid.', { faults })
    const token = newToken()
    const sha256 = sha256Of(token)
    const { expiresInSeconds, ...rest } = valid
    const nowMs = Date.now()
    const record: TokenRecord = {
      ...rest,
      tokenId: tokenIdOf(sha256),
      createdAtMs: nowMs,
      ...(expiresInSeconds === undefined ? {} : { expiresAtMs: nowMs + expiresInSeconds * 1000 }),
    }
    await this.#deps.store.add(sha256, record)
    await this.#deps.registry.tell({ kind: 'token', id: sha256 })
    const expiresAt = record.expiresAtMs === undefined ? {} : { expiresAt: new Date(record.expiresAtMs).toISOString() }
    return { tokenId: record.tokenId, token, ...expiresAt }
  }

  list(limit: number, cursor: string | undefined): Promise<ListPage<TokenRecord>> {
    return this.#deps.store.list(limit, cursor)
  }

  /** @throws {TransmitterError} not_found */
  async revoke(tokenId: string): Promise<void> {
    const sha256 = await this.#deps.store.revoke(tokenId)
    if (sha256 === undefined) throw new TransmitterError('not_found', 'No such token.')
    await this.#deps.registry.tell({ kind: 'token', id: sha256 })
  }

  async #scopeFaults(input: TokenInput): Promise<Fault[]> {
    const faults: Fault[] = []
    const only = (name: keyof TokenInput, scope: TokenInput['scope']) => {
      if (input[name] !== undefined && input.scope !== scope) {
        faults.push({ at: `/${name}`, message: `belongs to ${scope} tokens` })
      }
    }
    only('receiver', 'poll')
    for (const name of ['producer', 'receivers', 'eventTypes', 'foreign'] as const) only(name, 'publish')
    if (input.scope === 'poll') {
      if (input.receiver === undefined) faults.push({ at: '/receiver', message: 'is required for a poll token' })
      else if ((await this.#deps.registry.receiver(input.receiver)) === undefined) {
        faults.push({ at: '/receiver', message: 'is not a receiver' })
      }
    }
    if (input.scope === 'publish') {
      if (input.producer === undefined) faults.push({ at: '/producer', message: 'is required for a publish token' })
      // Admin tokens publish under this name: another must not take their ids.
      else if (input.producer === 'admin') faults.push({ at: '/producer', message: 'is reserved' })
    }
    return faults
  }
}
