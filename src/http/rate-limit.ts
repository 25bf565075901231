/**
 * How often requests from one address may be refused: a bucket per address that refills evenly. Over it the answer is
 * 429, whatever it would have been, and nothing is asked of Redis; who has a credential is not concerned.
 * Source: RFC 6585 §4.
 */
import { isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { type FailureCode, TransmitterError } from '../errors.ts'
import type { Proxies } from './proxies.ts'

/** About 150 bytes each. Who has more addresses than this to spare is not stopped by counting them. */
const ADDRESSES_MAX = 10_000
const REFUSALS: ReadonlySet<FailureCode> = new Set([
  'unauthenticated',
  'token_invalid',
  'forbidden',
  'insecure_transport',
  'not_found',
  'method_not_allowed',
])

interface Bucket {
  left: number
  atMs: number
}

export class Refusals {
  readonly #perMinute: number
  readonly #proxies: Proxies
  readonly #nowMs: () => number
  readonly #buckets = new LRUCache<string, Bucket>({ max: ADDRESSES_MAX })

  /** @param perMinute 0 is no limit. @param nowMs a clock that never goes back. */
  constructor(perMinute: number, proxies: Proxies, nowMs: () => number = () => performance.now()) {
    this.#perMinute = perMinute
    this.#proxies = proxies
    this.#nowMs = nowMs
  }

  isOver(request: FastifyRequest): boolean {
    if (this.#perMinute === 0) return false
    const bucket = this.#buckets.get(this.#addressOf(request))
    return bucket !== undefined && this.#refilled(bucket).left < 1
  }

  /** Counts a refusal. @returns what to answer: the failure itself, or that there were too many. */
  answer(failure: TransmitterError, request: FastifyRequest): TransmitterError {
    if (this.#perMinute === 0 || !isRefusal(failure, request)) return failure
    const address = this.#addressOf(request)
    let bucket = this.#buckets.get(address)
    if (bucket === undefined) {
      bucket = { left: this.#perMinute, atMs: this.#nowMs() }
      this.#buckets.set(address, bucket)
    }
    if (this.#refilled(bucket).left >= 1) {
      bucket.left -= 1
      return failure
    }
    return new TransmitterError('rate_limited', 'Too many requests from this address were refused.', {
      retryAfterSeconds: ((1 - bucket.left) * 60) / this.#perMinute,
    })
  }

  #refilled(bucket: Bucket): Bucket {
    const now = this.#nowMs()
    bucket.left = Math.min(this.#perMinute, bucket.left + ((now - bucket.atMs) * this.#perMinute) / 60_000)
    bucket.atMs = now
    return bucket
  }

  #addressOf(request: FastifyRequest): string {
    const address = this.#proxies.clientAddress(request)
    return isIPv6(address) ? network64(address) : address
  }
}

export function isRefusal(failure: TransmitterError, { caller }: FastifyRequest): boolean {
  if (!REFUSALS.has(failure.code)) return false
  // Who may see everything learns nothing from what is not there.
  const seesEverything = caller?.scopes.some(scope => scope === 'admin' || scope === 'read') ?? false
  return failure.code !== 'not_found' || !seesEverything
}

/** A customer of a provider has at least a /64 to choose addresses from. */
function network64(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = head.split(':')
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':')
    while (groups.length + behind.length < 8) groups.push('0')
    groups.push(...behind)
  }
  return groups
    .slice(0, 4)
    .map(group => Number.parseInt(group || '0', 16).toString(16))
    .join(':')
}
