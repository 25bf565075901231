/**
 * Black-box vectors: their shape, and reading a file of them.
 * One vector is one poll, with the state before it and what must be seen during and after it.
 */
import { readFile } from 'node:fs/promises'

/** `"C"` page cap, `"W"` held polls of a receiver, `"bodyCap"` bytes of a body, each with an optional `+n` or `-n`. */
export type Amount = number | string

export interface DuringAction {
  readonly atMs: number
  readonly action: string
  readonly jti?: string
  readonly count?: Amount
}

export interface Given {
  readonly queued?: readonly string[]
  readonly delivered?: readonly string[]
  readonly owedAgain?: readonly string[]
  readonly acknowledged?: readonly string[]
  readonly parked?: readonly string[]
  readonly otherStream?: readonly string[]
  readonly during?: readonly DuringAction[]
  readonly condition?: string
}

export interface VectorRequest {
  readonly method?: string
  readonly target?: string
  /** A list of values repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: unknown
  readonly bodyText?: string
  readonly bodyBase64?: string
  readonly bodyGenerate?: Readonly<Record<string, unknown>>
}

export type HeaderRule = Readonly<Record<string, unknown>>

export interface BodyShape {
  readonly sets?: { readonly keys?: readonly string[]; readonly min?: Amount; readonly max?: Amount }
  readonly moreAvailable?: boolean | string
}

export interface After {
  readonly acknowledged?: readonly string[]
  readonly owed?: readonly string[]
  readonly parked?: readonly string[]
  readonly otherStreamOwed?: readonly string[]
}

export interface Expectation {
  readonly status: number | null
  readonly alsoConforming?: readonly (number | null)[]
  readonly headers?: Readonly<Record<string, HeaderRule>>
  readonly bodyShape?: BodyShape | null
  readonly timing?: string
  readonly after?: After
  readonly invariants?: readonly string[]
}

export interface Vector {
  readonly id: string
  readonly description: string
  readonly given?: Given
  readonly request: VectorRequest
  readonly expect: Expectation
  readonly basis?: string
  readonly requirements?: readonly string[]
}

/** Thrown where a vector asks for something this runner or this transmitter cannot bring about. */
export class NotRun extends Error {
  override readonly name = 'NotRun'
}

/** Those of the specification as they were given, and our own for what lies between them. */
export const vectorFiles = ['vectors.json', 'further-vectors.json'].map(name => new URL(name, import.meta.url))

/** @throws {Error} if the file is not an array of vectors, with the place of the first fault. */
export async function readVectors(file: string | URL): Promise<Vector[]> {
  const vectors: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (!Array.isArray(vectors)) throw new Error('a vector file is a JSON array')
  for (const [index, vector] of vectors.entries()) {
    const { id, request, expect } = (vector ?? {}) as Partial<Vector>
    if (typeof id !== 'string' || typeof request !== 'object' || typeof expect !== 'object') {
      throw new Error(`entry ${index} is not a vector: it needs id, request and expect`)
    }
  }
  return vectors as Vector[]
}

/** What the symbols of an amount stand for at the transmitter under test. */
export interface Limits {
  /** C: SETs a response. Set per receiver by the runner. */
  readonly pageMax: number
  /** T: longest a poll is held. Set per receiver by the runner. */
  readonly pollWaitMs: number
  /** B: bytes of a request body. */
  readonly bodyBytesMax: number
  /** W: held polls of a receiver in one process. */
  readonly heldPollsPerReceiver: number
  /** Polls a minute that find nothing and are not held. */
  readonly pollsPerMinute: number
  /** How long a request may take to arrive, head and body. */
  readonly receiveTimeoutMs: number
}

export function amount(value: Amount, limits: Limits): number {
  if (typeof value === 'number') return value
  const symbols: Record<string, number> = {
    C: limits.pageMax,
    W: limits.heldPollsPerReceiver,
    bodyCap: limits.bodyBytesMax,
  }
  const [, symbol = '', sign, offset] = /^\s*([A-Za-z]+|\d+)\s*(?:([+-])\s*(\d+))?\s*$/.exec(value) ?? []
  const base = symbols[symbol] ?? (/^\d+$/.test(symbol) ? Number(symbol) : undefined)
  if (base === undefined) throw new NotRun(`unknown amount ${JSON.stringify(value)}`)
  return base + (offset === undefined ? 0 : Number(offset) * (sign === '-' ? -1 : 1))
}
