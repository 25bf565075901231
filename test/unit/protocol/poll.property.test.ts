/** The poll request and answer under anything a receiver could send. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TransmitterError } from '../../../src/errors.ts'
import { parseJson } from '../../../src/protocol/json-parse.ts'
import { type PollRequest, parsePollRequest, renderPollResponse } from '../../../src/protocol/poll.ts'
import { anyString, jsonText, jti, objectText } from './arbitraries.ts'

const runs = { numRuns: 1000 }

/** The request, or the refusal; anything else that is thrown fails the property. */
function outcome(body: Buffer): PollRequest | string {
  try {
    return parsePollRequest(body)
  } catch (error) {
    if (error instanceof TransmitterError && error.code === 'bad_request') return error.message
    throw error
  }
}

it('reads back what a receiver wrote, and nothing else', () => {
  const setError = fc.record(
    { err: fc.string({ unit: 'binary', minLength: 1 }), description: fc.string({ unit: 'binary' }) },
    { requiredKeys: ['err'] },
  )
  const model = fc.record({
    ack: fc.array(jti, { maxLength: 20 }),
    setErrs: fc.uniqueArray(fc.tuple(jti, setError), { selector: ([name]) => name, maxLength: 10 }),
    maxEvents: fc.option(fc.nat(), { nil: undefined }),
    returnImmediately: fc.boolean(),
  })
  fc.assert(
    fc.property(model, fc.boolean(), ({ ack, setErrs, maxEvents, returnImmediately }, escaped) => {
      // By hand, since an object would lose or reorder names.
      const reports = setErrs.map(([name, error]) => `${JSON.stringify(name)}:${JSON.stringify(error)}`)
      const text = `{"ack":${JSON.stringify(ack)},"setErrs":{${reports.join(',')}},"maxEvents":${maxEvents ?? null},"returnImmediately":${returnImmediately}}`
      const read = parsePollRequest(Buffer.from(escaped ? asEscapes(text) : text))
      expect({ ...read, setErrs: sorted(read.setErrs) }).toEqual({
        ack,
        setErrs: sorted(setErrs.map(([name, error]) => [name, { ...error }])),
        maxEvents,
        returnImmediately,
        unknownMembers: 0,
      })
    }),
    runs,
  )
})

it('answers any member of any JSON value, also repeated, with a request or a refusal (P-09, P-12)', () => {
  const name = fc.oneof(fc.constantFrom('ack', 'setErrs', 'maxEvents', 'returnImmediately', '__proto__'), fc.string())
  const report = objectText(fc.tuple(fc.oneof(fc.constantFrom('err', 'description'), jti), jsonText))
  const value = fc.oneof(jsonText, objectText(fc.tuple(jti, report)))
  fc.assert(
    fc.property(objectText(fc.tuple(name, value)), text => {
      const read = outcome(Buffer.from(text))
      if (typeof read === 'string') return
      // Whatever is taken can be stored as UTF-8 without becoming something else.
      const strings = [
        ...read.ack,
        ...read.setErrs.flatMap(([id, { err, description = '' }]) => [id, err, description]),
      ]
      for (const string of strings) expect(Buffer.from(string).toString()).toBe(string)
    }),
    { numRuns: 3000 },
  )
})

it('answers any bytes with a request or a refusal', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => void outcome(Buffer.from(bytes))),
    runs,
  )
})

it('refuses every unpaired surrogate, in every place where a string counts (D-24)', () => {
  const places = [
    (s: string) => `{"ack":["a",${s}]}`,
    (s: string) => `{"setErrs":{${s}:{"err":"a"}}}`,
    (s: string) => `{"setErrs":{"j":{"err":${s}}}}`,
    (s: string) => `{"setErrs":{"j":{"err":"a","description":${s}}}}`,
  ]
  fc.assert(
    fc.property(anyString, fc.constantFrom(...places), (string, place) => {
      fc.pre(string !== '')
      const read = outcome(Buffer.from(place(asEscapes(JSON.stringify(string)))))
      expect(typeof read === 'string').toBe(!string.isWellFormed())
    }),
    runs,
  )
})

it('answers a body of one mebibyte, of any shape, in bounded time (P-189)', () => {
  const size = 1_048_576
  const fill = (unit: string) => unit.repeat(Math.floor(size / unit.length))
  const bodies = [
    fill('['),
    `{"ack":[${fill('"a",')}"a"]}`,
    `{"ack":["${fill('\\u0061')}"]}`,
    `{"setErrs":{${fill('"a":{"err":"b"},')}"a":{"err":"b"}}}`,
    `{${fill('"a":1,')}"a":1}`,
    `{${Array.from({ length: 90_000 }, (_, i) => `"m${i}":1`).join(',')}}`,
    `{"x":[${fill('[],')}[]]}`,
    `{"x":${fill('{"a":')}1${fill('}')}}`,
  ]
  for (const body of bodies) {
    const startedMs = performance.now()
    outcome(Buffer.from(body))
    expect(performance.now() - startedMs).toBeLessThan(1000)
  }
})

it('writes any page so that every jti comes back with its own SET', () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{0,20}$/)
  const page = fc.uniqueArray(fc.record({ jti, set: token }), { selector: ({ jti }) => jti, maxLength: 20 })
  fc.assert(
    fc.property(page, fc.boolean(), (sets, moreAvailable) => {
      const answer = parseJson(renderPollResponse(sets, moreAvailable)) as { sets: object; moreAvailable?: true }
      expect(answer.moreAvailable).toBe(moreAvailable ? true : undefined)
      expect(new Map(Object.entries(answer.sets))).toEqual(new Map(sets.map(({ jti, set }) => [jti, set])))
    }),
    runs,
  )
})

/** Every character inside strings as \uXXXX: the same JSON value in another spelling. */
function asEscapes(json: string): string {
  return json.replaceAll(
    /"((?:[^"\\]|\\.)*)"/gs,
    string => `"${[...utf16(JSON.parse(string))].map(unit => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`,
  )
}

function* utf16(text: string): Generator<number> {
  for (let i = 0; i < text.length; i++) yield text.charCodeAt(i)
}

function sorted<T>(entries: readonly (readonly [string, T])[]): (readonly [string, T])[] {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
}
