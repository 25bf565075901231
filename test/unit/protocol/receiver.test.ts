import { Value } from '@sinclair/typebox/value'
import { describe, expect, it } from 'vitest'
import {
  RECEIVER_ID,
  ReceiverPatch,
  validateReceiverInput,
  validateReceiverPatch,
} from '../../../src/protocol/receiver.ts'

const places = (faults: readonly { at: string }[]) => new Set(faults.map(fault => fault.at))
const settings = {
  pageMax: 1000,
  pollWaitMs: 0,
  redeliverAfterMs: 60_000,
  maxAttempts: 0,
  parkAfterMs: 0,
  backlogMax: 1,
  expireAfterMs: 1,
  retainAckedMs: 1,
  signingAlg: 'PS256',
  sloMs: 5000,
}

it.each(['a', '0', 'billing', 'a-b-', 'a'.repeat(63)])('takes the id %j', id => {
  expect(RECEIVER_ID.test(id)).toBe(true)
})

it.each(['', '-a', 'A', 'a_b', 'a.b', 'a'.repeat(64), 'é', 'a\n', '{a}', 'a:b', 'a/b'])('refuses the id %j', id => {
  expect(RECEIVER_ID.test(id)).toBe(false)
  expect(places(validateReceiverInput({ id, audience: 'x' }))).toEqual(new Set(['/id']))
})

describe('a registration', () => {
  it('needs an id and an audience', () => {
    expect(validateReceiverInput({ id: 'r1', audience: 'https://rx.example' })).toEqual([])
    expect(places(validateReceiverInput({}))).toEqual(new Set(['/id', '/audience']))
  })

  it('may say more', () => {
    const input = {
      id: 'r1',
      audience: ['a', 'b'],
      description: '',
      eventTypes: ['https://example.com/a', 'urn:example:b'],
      status: 'paused',
      owner: 'team',
      clients: [{ oauthClientId: 'x' }, { certSan: 'rx.example' }, { certSha256: 'ab'.repeat(32) }],
      settings,
    }
    expect(validateReceiverInput(input)).toEqual([])
    expect(validateReceiverInput({ ...input, eventTypes: ['*'], clients: [], settings: {} })).toEqual([])
  })

  it('has every fault named at once, without its value', () => {
    const input = {
      id: 'MARK',
      audience: [],
      description: 5,
      eventTypes: ['*', 'https://example.com/a'],
      status: 'MARK',
      owner: '',
      clients: [{ oauthClientId: 'x', certSan: 'y' }, { certSha256: 'MARK' }],
      settings: { pageMax: 1001, pollWaitMs: -1, maxAttempts: 1.5, signingAlg: 'none', sloMs: '5', pagemax: 1 },
      Id: 'x',
    }
    const faults = validateReceiverInput(input)
    expect(places(faults)).toEqual(
      new Set([
        '/id',
        '/audience',
        '/description',
        '/eventTypes',
        '/status',
        '/owner',
        '/clients/0',
        '/clients/1',
        '/settings/pageMax',
        '/settings/pollWaitMs',
        '/settings/maxAttempts',
        '/settings/signingAlg',
        '/settings/sloMs',
        '/settings/pagemax',
        '/Id',
      ]),
    )
    expect(JSON.stringify(faults)).not.toContain('MARK')
  })

  it.each([['x', 'x'], [1], [''], 'x'.repeat(1025), '', null, {}])('refuses the audience %j', audience => {
    expect(places(validateReceiverInput({ id: 'r1', audience }))).toEqual(new Set(['/audience']))
  })

  it('refuses what is not an object, and text that is not well formed', () => {
    for (const input of [null, [], 'x', 5]) expect(places(validateReceiverInput(input))).toEqual(new Set(['']))
    expect(places(validateReceiverInput({ id: 'r1', audience: 'x', owner: '\ud800' }))).toEqual(new Set(['/owner']))
  })
})

describe('a change', () => {
  it('may be empty, and may take away what is optional', () => {
    expect(validateReceiverPatch({})).toEqual([])
    expect(validateReceiverPatch({ description: null, owner: null, clients: null, settings: null })).toEqual([])
    const taken = Object.fromEntries(Object.keys(settings).map(name => [name, null]))
    expect(validateReceiverPatch({ settings: taken, status: 'disabled', eventTypes: ['*'] })).toEqual([])
    expect(Value.Check(ReceiverPatch, { settings: taken, description: null })).toBe(true)
  })

  it('never touches id and audience, and takes away nothing else', () => {
    expect(places(validateReceiverPatch({ id: 'r1', audience: 'x', status: null, eventTypes: null }))).toEqual(
      new Set(['/id', '/audience', '/status', '/eventTypes']),
    )
  })

  it('has every fault inside the settings named', () => {
    expect(places(validateReceiverPatch({ settings: { pageMax: 0, pollWaitMs: null, x: null }, owner: 5 }))).toEqual(
      new Set(['/settings/pageMax', '/settings/x', '/owner']),
    )
    expect(places(validateReceiverPatch(null))).toEqual(new Set(['']))
  })
})
