import { readFileSync } from 'node:fs'
import { Value } from '@sinclair/typebox/value'
import { describe, expect, it } from 'vitest'
import { TransmitterError } from '../../../src/errors.ts'
import {
  ACKS_PER_REQUEST_MAX,
  type PollRequest,
  PollRequestSchema,
  PollResponseSchema,
  parsePollRequest,
  parsePrefer,
  renderPollResponse,
} from '../../../src/protocol/poll.ts'

const parse = (text: string) => parsePollRequest(Buffer.from(text))
const request = (members: Partial<PollRequest>): PollRequest => ({
  ack: [],
  setErrs: [],
  maxEvents: undefined,
  returnImmediately: false,
  unknownMembers: 0,
  ...members,
})

/** What a refusal says. */
function refusal(body: string | Buffer): string {
  try {
    parsePollRequest(Buffer.from(body as string))
  } catch (error) {
    expect(error).toBeInstanceOf(TransmitterError)
    expect((error as TransmitterError).code).toBe('bad_request')
    return (error as TransmitterError).message
  }
  throw new Error('was not refused')
}

describe('the requests of RFC 8936', () => {
  it('reads figure 1, an initial poll that is answered at once', () => {
    expect(parse('{\n "returnImmediately": true\n}')).toEqual(request({ returnImmediately: true }))
  })

  it('reads figure 2, a poll by default', () => {
    expect(parse('{}')).toEqual(request({}))
  })

  it('reads figure 3, acknowledgements only', () => {
    const figure = `{
      "ack": [
        "4d3559ec67504aaba65d40b0363faad8",
        "3d0c3cf797584bd193bd0fb1bd4e7d30"
      ],
      "maxEvents": 0,
      "returnImmediately": true
    }`
    expect(parse(figure)).toEqual(
      request({
        ack: ['4d3559ec67504aaba65d40b0363faad8', '3d0c3cf797584bd193bd0fb1bd4e7d30'],
        maxEvents: 0,
        returnImmediately: true,
      }),
    )
  })

  it('reads figure 4, a poll with acknowledgements', () => {
    const figure = `{
      "ack": [
        "4d3559ec67504aaba65d40b0363faad8",
        "3d0c3cf797584bd193bd0fb1bd4e7d30"
      ],
      "returnImmediately": false
    }`
    expect(parse(figure)).toEqual(
      request({ ack: ['4d3559ec67504aaba65d40b0363faad8', '3d0c3cf797584bd193bd0fb1bd4e7d30'] }),
    )
  })

  it('reads figure 5, a poll with acknowledgements and errors', () => {
    const figure = `{
      "ack": ["3d0c3cf797584bd193bd0fb1bd4e7d30"],
      "setErrs": {
        "4d3559ec67504aaba65d40b0363faad8": {
          "err": "authentication_failed",
          "description": "The SET could not be authenticated"
        }
      },
      "returnImmediately": true
    }`
    const error = { err: 'authentication_failed', description: 'The SET could not be authenticated' }
    expect(parse(figure)).toEqual(
      request({
        ack: ['3d0c3cf797584bd193bd0fb1bd4e7d30'],
        setErrs: [['4d3559ec67504aaba65d40b0363faad8', error]],
        returnImmediately: true,
      }),
    )
  })
})

describe('the answers of RFC 8936', () => {
  it('writes figure 6, SETs by their jti', () => {
    const figure = readFileSync(new URL('./rfc8936-figure-6.json', import.meta.url), 'utf8')
    const sets = Object.entries(JSON.parse(figure).sets as Record<string, string>)
    const written = renderPollResponse(
      sets.map(([jti, set]) => ({ jti, set })),
      false,
    )
    expect(written).toBe(figure.replaceAll(/\s/g, ''))
  })

  it('writes figure 7, nothing to deliver, as an empty object (P-64)', () => {
    expect(renderPollResponse([], false)).toBe('{"sets":{}}')
  })

  it('says moreAvailable only when it is true (D-12)', () => {
    expect(renderPollResponse([], true)).toBe('{"sets":{},"moreAvailable":true}')
    expect(renderPollResponse([{ jti: 'a', set: 'b.c.d' }], true)).toBe('{"sets":{"a":"b.c.d"},"moreAvailable":true}')
  })

  it('keeps any jti as it is, in order: integers, __proto__, quotes and controls (P-74)', () => {
    const jtis = ['10', '9', '__proto__', 'constructor', '"\\', '\u0000\r\n\u2028', 'évé-🔐', '']
    const text = renderPollResponse(
      jtis.map((jti, i) => ({ jti, set: `s.${i}.x` })),
      false,
    )
    expect([...text.matchAll(/"((?:[^"\\]|\\.)*)":"s\.\d\.x"/g)].map(([, jti]) => JSON.parse(`"${jti}"`))).toEqual(jtis)
    expect(Object.keys(JSON.parse(text).sets).toSorted()).toEqual(jtis.toSorted())
    expect(Value.Check(PollResponseSchema, JSON.parse(text))).toBe(true)
  })
})

describe('members of a request', () => {
  it('takes null at the top level for absent (D-04)', () => {
    const nothing = '{"ack":null,"setErrs":null,"maxEvents":null,"returnImmediately":null}'
    expect(parse(nothing)).toEqual(request({}))
  })

  it('takes a description of null for absent, and one that is missing (D-04, D-06)', () => {
    expect(parse('{"setErrs":{"j":{"err":"a","description":null},"k":{"err":"b"}}}').setErrs).toEqual([
      ['j', { err: 'a' }],
      ['k', { err: 'b' }],
    ])
  })

  it.each([
    ['2.0', 2],
    ['1e1', 10],
    ['-0', 0],
    ['9007199254740993', 9007199254740992],
    ['1e300', 1e300],
  ])('reads maxEvents %s as an integer (P-24)', (text, value) => {
    expect(parse(`{"maxEvents":${text}}`).maxEvents).toBe(value)
  })

  it.each(['-1', '2.5', '"5"', 'true', '[]', '[1]', '{}', '1e400', '-9007199254740993'])(
    'refuses maxEvents %s (P-23, P-24)',
    text => {
      expect(refusal(`{"maxEvents":${text}}`)).toBe('maxEvents is not a non-negative integer')
    },
  )

  it.each(['"true"', '1', '0', '{}', '[]', '[true]', '"false"'])('refuses returnImmediately %s (P-27)', text => {
    expect(refusal(`{"returnImmediately":${text}}`)).toBe('returnImmediately is not a boolean')
  })

  it.each(['"j1"', '{}', '{"0":"j1"}', '1', 'true', '[1]', '[null]', '[["j1"]]', '[{"jti":"j1"}]', '["j1",7]'])(
    'refuses ack %s (P-30)',
    text => {
      expect(refusal(`{"ack":${text}}`)).toMatch(/^ack /)
    },
  )

  it.each([
    '["j1"]',
    '"j1"',
    '3',
    'true',
    '{"j":"invalid_key"}',
    '{"j":["invalid_key"]}',
    '{"j":1}',
    '{"j":null}',
    '{"j":{}}',
    '{"j":{"description":"x"}}',
    '{"j":{"err":null}}',
    '{"j":{"err":17}}',
    '{"j":{"err":""}}',
    '{"j":{"err":{}}}',
    '{"j":{"err":["a"]}}',
    '{"j":{"err":"a","description":5}}',
    '{"j":{"err":"a","description":{}}}',
  ])('refuses setErrs %s (P-37, P-38, P-39)', text => {
    expect(refusal(`{"setErrs":${text}}`)).toMatch(/^setErrs /)
  })

  it('keeps an empty, a repeated and an unregistered name as they are (P-31, D-07)', () => {
    expect(parse('{"ack":["","a","a"],"setErrs":{"":{"err":"vendor thing"}}}')).toEqual(
      request({ ack: ['', 'a', 'a'], setErrs: [['', { err: 'vendor thing' }]] }),
    )
  })

  it('compares a jti after unescaping and changes nothing about it (P-32)', () => {
    expect(parse('{"ack":["\\u0061","A"," a","caf\\u0065\\u0301"]}').ack).toEqual(['a', 'A', ' a', 'cafe\u0301'])
  })

  it('leaves a jti in both lists for the store to decide (D-09)', () => {
    expect(parse('{"ack":["j"],"setErrs":{"j":{"err":"a"}}}')).toEqual(
      request({ ack: ['j'], setErrs: [['j', { err: 'a' }]] }),
    )
  })

  it('counts unknown members and look-alikes, and otherwise ignores them (P-10, P-11)', () => {
    expect(parse('{"stream_id":"x","timeoutSecs":5,"Ack":["j"],"acks":["j"],"max_events":0}')).toEqual(
      request({ unknownMembers: 5 }),
    )
    expect(parse('{"setErrs":{"j":{"err":"a","kid":"x","retry":false}}}')).toEqual(
      request({ setErrs: [['j', { err: 'a' }]], unknownMembers: 2 }),
    )
  })

  it('treats __proto__, constructor and toString as plain names (P-34)', () => {
    expect(parse('{"ack":["__proto__","constructor","toString"]}').ack).toEqual([
      '__proto__',
      'constructor',
      'toString',
    ])
    const hostile =
      '{"setErrs":{"__proto__":{"err":"a","__proto__":{"admin":true}},"constructor":{"err":"b"}},"__proto__":{"maxEvents":0}}'
    expect(parse(hostile)).toEqual(
      request({
        setErrs: [
          ['__proto__', { err: 'a' }],
          ['constructor', { err: 'b' }],
        ],
        unknownMembers: 2,
      }),
    )
    expect(refusal('{"setErrs":{"j":{"__proto__":{"err":"inherited"}}}}')).toMatch(/err is not/)
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('takes the last of two members of one name (D-03)', () => {
    expect(parse('{"ack":["a"],"ack":["b"],"returnImmediately":true}').ack).toEqual(['b'])
  })
})

describe('the body', () => {
  it.each([
    '',
    '  ',
    'null',
    '[]',
    '"poll"',
    '42',
    'true',
    '{"a":1',
    '{"a":1,}',
    '{} {}',
    '{"a":NaN}',
    '{"maxEvents":0x10}',
  ])('refuses %j, which is not one JSON object (P-05, P-06, P-09)', text => {
    expect(refusal(text)).toMatch(/^the body is not a JSON/)
  })

  it('refuses bytes that are not UTF-8 instead of repairing them (P-07)', () => {
    expect(refusal(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBe('the body is not valid UTF-8')
    expect(refusal(Buffer.from('{"ack":["\u00e9"]}', 'latin1'))).toBe('the body is not valid UTF-8')
    expect(refusal(Buffer.from('\ufeff{}', 'utf16le'))).toBe('the body is not valid UTF-8')
  })

  it('ignores a byte order mark in front, and only there (P-08)', () => {
    expect(parse('\ufeff{"returnImmediately":true}')).toEqual(request({ returnImmediately: true }))
    expect(refusal('\ufeff\ufeff{}')).toMatch(/not a JSON/)
  })

  it.each([
    '{"ack":["\\ud83d"]}',
    '{"ack":["\\udd10"]}',
    '{"setErrs":{"\\ud83d":{"err":"a"}}}',
    '{"setErrs":{"j":{"err":"\\ud83d"}}}',
    '{"setErrs":{"j":{"err":"a","description":"\\ud83d"}}}',
  ])('refuses an unpaired surrogate in %s (D-24)', text => {
    expect(refusal(text)).toMatch(/unpaired surrogate/)
  })

  it('takes a surrogate pair written as escapes', () => {
    expect(parse('{"ack":["\\ud83d\\udd10"]}').ack).toEqual(['🔐'])
  })

  it('takes as many acknowledgements and reports as the bound, and not one more (P-36)', () => {
    const ack = Array.from({ length: ACKS_PER_REQUEST_MAX - 1 }, (_, i) => `j${i}`)
    expect(parse(JSON.stringify({ ack, setErrs: { x: { err: 'a' } } })).ack).toHaveLength(ack.length)
    expect(refusal(JSON.stringify({ ack: [...ack, 'y'], setErrs: { x: { err: 'a' } } }))).toMatch(/at most 2000/)
  })

  it('refuses what nests deeper than 64 levels, however deep (P-189)', () => {
    const nested = (depth: number) => `{"x":${'['.repeat(depth)}1${']'.repeat(depth)}}`
    expect(parse(nested(64)).unknownMembers).toBe(1)
    expect(refusal(nested(65))).toMatch(/nests deeper/)
    expect(refusal(nested(50_000))).toMatch(/nests deeper/)
    expect(refusal(`{"setErrs":{"j":{"err":"a","x":${nested(50_000)}}}}`)).toMatch(/nests deeper/)
    expect(refusal(`{"x":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`)).toMatch(/nests deeper/)
  })

  it('repeats nothing of the input in a refusal (P-117)', () => {
    for (const text of [
      '{"ack":"MARK"}',
      '{"MARK',
      '{"setErrs":{"MARK":{"err":{"MARK":1}}}}',
      '{"maxEvents":"MARK"}',
      'MARK',
    ]) {
      expect(refusal(text)).not.toContain('MARK')
    }
  })
})

it('publishes a schema that agrees with what it takes', () => {
  for (const text of [
    '{}',
    '{"ack":["a"],"setErrs":{"j":{"err":"a","description":"b"}},"maxEvents":0,"returnImmediately":true,"x":1}',
  ]) {
    parse(text)
    expect(Value.Check(PollRequestSchema, JSON.parse(text))).toBe(true)
  }
})

describe('Prefer (RFC 7240)', () => {
  it('takes a hostile header in linear time', () => {
    const startedMs = performance.now()
    parsePrefer(`wait${' '.repeat(60_000)}x`)
    parsePrefer(`wait${' =" '.repeat(20_000)}`)
    parsePrefer(','.repeat(60_000))
    expect(performance.now() - startedMs).toBeLessThan(200)
  })

  it.each([
    [undefined, undefined],
    ['', undefined],
    ['wait=10', 10_000],
    ['Wait = 10', 10_000],
    ['wait="7"', 7000],
    ['wait=0', 0],
    ['respond-async, wait=5', 5000],
    ['respond-async;x="a",wait=5; y=z', 5000],
    ['wait=3, wait=9', 3000],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=abc, wait=3', 3000],
    ['waits=3', undefined],
    ['return=minimal', undefined],
  ])('reads %j as %j milliseconds', (header, milliseconds) => {
    expect(parsePrefer(header)).toBe(milliseconds)
  })
})
