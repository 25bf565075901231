/**
 * The poll request and its answer.
 * Source: RFC 8936 §2.2 (request), §2.3 (response), §2.4 (the request's variations), §2.6 (error reports).
 */
import { Type } from '@sinclair/typebox'
import { TransmitterError } from '../errors.ts'
import { decodeUtf8, isDeeperThan, isObject, JSON_DEPTH_MAX } from './json.ts'
import { parseJson } from './json-parse.ts'
import { renderOver, type SetBytes } from './poll-bytes.ts'
import { type SetError, SetErrorSchema } from './set-error.ts'

/** Acknowledgements and reports together: one script settles them in one step, which others wait for. */
export const ACKS_PER_REQUEST_MAX = 2000

/** For documentation: what is checked, and more exactly, is `parsePollRequest`. */
export const PollRequestSchema = Type.Object({
  maxEvents: Type.Optional(Type.Integer({ minimum: 0, description: 'Most SETs to return; 0 only acknowledges.' })),
  returnImmediately: Type.Optional(Type.Boolean({ description: 'true: no long poll.' })),
  ack: Type.Optional(Type.Array(Type.String(), { description: 'jtis of SETs received.' })),
  setErrs: Type.Optional(Type.Record(Type.String(), SetErrorSchema, { description: 'Reports, by jti.' })),
})

export const PollResponseSchema = Type.Object({
  sets: Type.Record(Type.String(), Type.String(), { description: 'Encoded SETs, by jti.' }),
  moreAvailable: Type.Optional(Type.Literal(true, { description: 'Another poll would find SETs now.' })),
})

export interface PollRequest {
  readonly ack: readonly string[]
  readonly setErrs: readonly (readonly [jti: string, error: SetError])[]
  readonly maxEvents: number | undefined
  readonly returnImmediately: boolean
  /** Members the protocol does not know. They are ignored, and counted because a misspelt `ack` looks like one. */
  readonly unknownMembers: number
}

/**
 * Written by hand and not compiled from the schema: one pass checks, counts and converts, and a request with
 * a hundred acknowledgements costs a few microseconds.
 * @throws {TransmitterError} `bad_request`; its text holds nothing of the input.
 */
export function parsePollRequest(body: Buffer): PollRequest {
  const text = decodeUtf8(body)
  if (text === undefined) throw invalid('the body is not valid UTF-8')
  let document: unknown
  try {
    document = parseJson(text)
  } catch {
    // V8's message quotes the input.
    throw invalid('the body is not a JSON document')
  }
  if (!isObject(document)) throw invalid('the body is not a JSON object')
  // In valid UTF-8 an unpaired surrogate can only come from an escape.
  const mayHoldSurrogates = text.includes('\\u')

  let ack: readonly string[] = []
  let setErrs: readonly (readonly [string, SetError])[] = []
  let maxEvents: number | undefined
  let returnImmediately = false
  const unknown = { members: 0 }
  for (const name of Object.keys(document)) {
    const value = document[name]
    switch (name) {
      case 'ack':
        if (value !== null) ack = readAck(value, mayHoldSurrogates)
        break
      case 'setErrs':
        if (value !== null) setErrs = readSetErrs(value, mayHoldSurrogates, unknown)
        break
      case 'maxEvents':
        if (value !== null) maxEvents = readMaxEvents(value)
        break
      case 'returnImmediately':
        if (value !== null) returnImmediately = readReturnImmediately(value)
        break
      default:
        ignore(value, unknown)
    }
  }
  if (ack.length + setErrs.length > ACKS_PER_REQUEST_MAX) {
    throw invalid(`ack and setErrs together may have at most ${ACKS_PER_REQUEST_MAX} entries`)
  }
  return { ack, setErrs, maxEvents, returnImmediately, unknownMembers: unknown.members }
}

function readAck(value: unknown, mayHoldSurrogates: boolean): readonly string[] {
  if (!Array.isArray(value)) throw invalid('ack is not an array')
  for (const jti of value) {
    if (typeof jti !== 'string') throw invalid('ack has an element that is not a string')
    if (mayHoldSurrogates && !jti.isWellFormed()) throw invalid('ack has an element with an unpaired surrogate')
  }
  return value as readonly string[]
}

function readSetErrs(
  value: unknown,
  mayHoldSurrogates: boolean,
  unknown: { members: number },
): readonly (readonly [string, SetError])[] {
  if (!isObject(value)) throw invalid('setErrs is not an object')
  return Object.keys(value).map(jti => {
    const entry = value[jti]
    if (!isObject(entry)) throw invalid('setErrs has an entry that is not an object')
    let err: unknown
    let description: unknown
    for (const name of Object.keys(entry)) {
      if (name === 'err') err = entry.err
      else if (name === 'description') description = entry.description ?? undefined
      else ignore(entry[name], unknown)
    }
    if (typeof err !== 'string' || err === '') throw invalid('setErrs has an entry whose err is not a non-empty string')
    if (description !== undefined && typeof description !== 'string') {
      throw invalid('setErrs has an entry whose description is not a string')
    }
    if (
      mayHoldSurrogates &&
      !(jti.isWellFormed() && err.isWellFormed() && (description === undefined || description.isWellFormed()))
    ) {
      throw invalid('setErrs has an entry with an unpaired surrogate')
    }
    return [jti, description === undefined ? { err } : { err, description }] as const
  })
}

function readMaxEvents(value: unknown): number {
  // 2.0 and 1e1 are integers in JSON, 1e400 overflows to infinity and is not.
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw invalid('maxEvents is not a non-negative integer')
  }
  return value === 0 ? 0 : value // -0 is 0.
}

function readReturnImmediately(value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid('returnImmediately is not a boolean')
  return value
}

function ignore(value: unknown, unknown: { members: number }): void {
  unknown.members += 1
  if (isDeeperThan(value, JSON_DEPTH_MAX)) throw invalid(`the body nests deeper than ${JSON_DEPTH_MAX} levels`)
}

function invalid(detail: string): TransmitterError {
  return new TransmitterError('bad_request', detail)
}

const PREFERENCE = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*("?)(\d+)\2)?\s*(?:;.*)?$/

/**
 * `Prefer: wait=N`, a receiver's wish to be held for less than our longest wait.
 * Source: RFC 7240 §2 (first of several wins, names without regard to case, what is not understood is ignored), §4.3.
 * @returns milliseconds
 */
export function parsePrefer(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  for (const preference of header.split(',')) {
    const [, name, , seconds] = PREFERENCE.exec(preference) ?? []
    if (name?.toLowerCase() !== 'wait') continue
    return seconds === undefined ? undefined : Number(seconds) * 1000
  }
  return undefined
}

export interface DeliveredSet {
  readonly jti: string
  /** A compact JWS: its alphabet needs no escaping in JSON. */
  readonly set: string
}

export interface DeliveredPage {
  readonly sets: readonly DeliveredSet[]
  readonly bytes: SetBytes | undefined
  readonly moreAvailable: boolean
}

/** To be rendered once: bytes are written over. */
export function renderPage(page: DeliveredPage): string | Buffer {
  if (page.bytes?.isPlain === true) return renderOver(page.bytes, page.moreAvailable)
  return renderPollResponse(page.sets, page.moreAvailable)
}

/**
 * The answer as JSON text, and not as an object: objects reorder integer-like names and take `__proto__` for something
 * else. `moreAvailable` is left out when false: some receivers cannot read it.
 */
export function renderPollResponse(sets: readonly DeliveredSet[], moreAvailable: boolean): string {
  let members = ''
  for (const { jti, set } of sets) {
    members += `${members === '' ? '' : ','}${JSON.stringify(jti)}:"${set}"`
  }
  return moreAvailable ? `{"sets":{${members}},"moreAvailable":true}` : `{"sets":{${members}}}`
}
