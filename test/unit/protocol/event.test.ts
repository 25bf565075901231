import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { validateEvent } from '../../../src/protocol/event.ts'
import { parseJson } from '../../../src/protocol/json-parse.ts'
import { anyString } from './arbitraries.ts'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

const places = (event: unknown) => validateEvent(event).map(fault => fault.at)
const placesOf = (type: string, data: unknown, sub_id?: unknown) =>
  places({ events: { [type]: data }, ...(sub_id === undefined ? {} : { sub_id }) }).map(at =>
    at.replace(`/events/${type.replaceAll('/', '~1')}`, '…'),
  )

describe('an event', () => {
  it('needs nothing but one event type with data', () => {
    expect(validateEvent({ events: { 'urn:example:thing': {} } })).toEqual([])
  })

  it('may say more', () => {
    const event = {
      id: 'x'.repeat(128),
      events: { 'urn:example:a': { deep: [{ x: null }] }, 'https://example.com/b#c': {} },
      sub_id: { format: 'opaque', id: 'é' },
      sub: 'x',
      txn: 'y',
      toe: 1508184845.5,
      receivers: ['r1', 'r-2'],
    }
    expect(validateEvent(event)).toEqual([])
  })

  it('has all of its faults named at once', () => {
    const event = {
      id: '',
      events: { foo: {}, 'a:b': 1, 'a c:d': {}, '/relative': {} },
      sub_id: { format: 'email' },
      sub: 1,
      txn: null,
      toe: 'now',
      receivers: ['R1', 'r1', 'r1'],
      exp: 1,
      nonce: 'n',
      iat: 1,
    }
    expect(new Set(places(event))).toEqual(
      new Set([
        '/id',
        '/events/foo',
        '/events/a:b',
        '/events/a c:d',
        '/events/~1relative',
        '/sub_id/email',
        '/sub',
        '/txn',
        '/toe',
        '/receivers/0',
        '/receivers',
        '/exp',
        '/nonce',
        '/iat',
      ]),
    )
  })

  it.each([
    [{}, '/events'],
    [{ events: {} }, '/events'],
    [{ events: [] }, '/events'],
    [{ events: null }, '/events'],
    [{ events: 'a:b' }, '/events'],
    [{ events: { 'a:b': true } }, '/events/a:b'],
    [{ events: { 'a:b': [] } }, '/events/a:b'],
    [{ events: { 'a:b': null } }, '/events/a:b'],
    [{ events: { 'a:b': {} }, id: 'x'.repeat(129) }, '/id'],
    [{ events: { 'a:b': {} }, sub_id: 'x' }, '/sub_id'],
    [{ events: { 'a:b': {} }, receivers: [] }, '/receivers'],
    [{ events: { 'a:b': {} }, receivers: 'r1' }, '/receivers'],
    [{ events: { 'a:b': {} }, Events: {} }, '/Events'],
    [null, ''],
    [[], ''],
    ['x', ''],
  ])('refuses %j at %j (P-162)', (event, at) => {
    expect(places(event)).toEqual([at])
  })

  it('refuses what cannot be kept as UTF-8 JSON', () => {
    expect(places({ events: { 'a:b': { x: ['\ud800'] } } })).toEqual(['/events/a:b/x/0'])
    expect(places({ events: { 'a:b': { '\udc00': 1 } } })).toEqual(['/events/a:b'])
    expect(places(parseJson('{"events":{"a:b":{"x":1e400}}}'))).toEqual(['/events/a:b/x'])
    expect(places(parseJson(`{"events":{"a:b":{"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}}}`))).toEqual([''])
  })

  it('refuses what only a caller in process can say', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    expect(places({ events: { 'a:b': cycle } })).toEqual([''])
    const data = { when: new Date(0), big: 1n, f: () => {}, s: Symbol('x'), list: [undefined], gone: undefined }
    const at = ['when', 'big', 'f', 's', 'list/0'].map(name => `/events/a:b/${name}`)
    expect(places({ events: { 'a:b': data }, txn: undefined })).toEqual(at)
  })

  it('repeats no value in a fault', () => {
    const event = { id: 'MARK'.repeat(99), events: { 'a:b': 'MARK' }, sub: ['MARK'], sub_id: { format: 'MARK' } }
    expect(JSON.stringify(validateEvent(event))).not.toContain('MARK')
  })

  it('answers any value without throwing, and passes none that JSON would change', () => {
    const data = fc.object({
      key: fc.oneof(anyString, fc.string()),
      maxDepth: 3,
      values: [anyString, fc.double(), fc.constant(null)],
    })
    fc.assert(
      fc.property(data, value => {
        const event = { events: { 'a:b': value } }
        if (validateEvent(event).length === 0) {
          const text = Buffer.from(JSON.stringify(event)).toString()
          expect(parseJson(text)).toEqual(parseJson(JSON.stringify(event)))
          expect(text).not.toMatch(/\\ud[89a-f]/)
        }
      }),
      { numRuns: 1000 },
    )
    fc.assert(fc.property(fc.anything(), value => void validateEvent(value)))
  })
})

describe("the transmitter's own events", () => {
  it.each(['verification', 'stream-updated', 'anything'])('are refused: %s (S-158)', name => {
    expect(placesOf(SSF + name, {})).toEqual(['…'])
  })
})

describe('CAEP events (CAEP 1.0 §3)', () => {
  const common = {
    event_timestamp: 1615304991,
    initiating_entity: 'policy',
    reason_admin: { en: 'Landspeed Policy Violation: C076E82F' },
    reason_user: { en: 'Access attempt from multiple regions.', 'es-410': 'Intento de acceso desde varias regiones.' },
  }

  it.each([
    ['session-revoked', {}],
    ['session-revoked', common],
    ['session-revoked', { subject: { format: 'email', email: 'a@b.example' }, other: 1 }],
    ['token-claims-change', { ...common, claims: { role: 'ro-admin' } }],
    [
      'credential-change',
      { ...common, credential_type: 'fido2-roaming', change_type: 'create', fido2_aaguid: 'x', friendly_name: 'USB' },
    ],
    [
      'credential-change',
      { credential_type: 'agreed-other', change_type: 'delete', x509_issuer: '', x509_serial: 'y' },
    ],
    [
      'assurance-level-change',
      {
        ...common,
        namespace: 'NIST-AAL',
        current_level: 'nist-aal2',
        previous_level: 'nist-aal1',
        change_direction: 'increase',
      },
    ],
    ['device-compliance-change', { ...common, previous_status: 'compliant', current_status: 'not-compliant' }],
    ['session-established', { ...common, fp_ua: 'x', acr: 'y', amr: ['otp'], ext_id: 'z' }],
    ['session-presented', { ...common, fp_ua: 'x', ext_id: 'z' }],
    [
      'risk-level-change',
      { ...common, principal: 'USER', current_level: 'LOW', previous_level: 'HIGH', risk_reason: 'x' },
    ],
  ])('takes %s %j', (name, data) => {
    expect(placesOf(CAEP + name, data)).toEqual([])
  })

  it.each([
    ['session-revoked', { event_timestamp: '1615304991' }, ['…/event_timestamp']],
    ['session-revoked', { initiating_entity: 'nobody' }, ['…/initiating_entity']],
    ['session-revoked', { reason_admin: 'text' }, ['…/reason_admin']],
    ['session-revoked', { reason_admin: {} }, ['…/reason_admin']],
    ['session-revoked', { reason_user: { en: 5 } }, ['…/reason_user/en']],
    ['session-revoked', { reason_user: { 'not a tag': 'x' } }, ['…/reason_user/not a tag']],
    ['token-claims-change', {}, ['…/claims']],
    ['token-claims-change', { claims: {} }, ['…/claims']],
    ['token-claims-change', { claims: ['x'] }, ['…/claims']],
    ['credential-change', {}, ['…/credential_type', '…/change_type']],
    ['credential-change', { credential_type: '', change_type: 'rotate' }, ['…/credential_type', '…/change_type']],
    ['credential-change', { credential_type: 'pin', change_type: 'create', friendly_name: 5 }, ['…/friendly_name']],
    ['assurance-level-change', { namespace: 5 }, ['…/current_level', '…/namespace']],
    [
      'assurance-level-change',
      { namespace: 'x', current_level: 'y', change_direction: 'sideways' },
      ['…/change_direction'],
    ],
    ['device-compliance-change', { previous_status: 'compliant' }, ['…/current_status']],
    ['device-compliance-change', { previous_status: 'ok', current_status: 'compliant' }, ['…/previous_status']],
    ['session-established', { amr: 'otp' }, ['…/amr']],
    ['session-established', { amr: [1], acr: 2 }, ['…/acr', '…/amr/0']],
    ['session-presented', { fp_ua: 1 }, ['…/fp_ua']],
    ['risk-level-change', {}, ['…/principal', '…/current_level']],
    [
      'risk-level-change',
      { principal: 'USER', current_level: 'low', previous_level: 'x' },
      ['…/current_level', '…/previous_level'],
    ],
  ])('refuses %s %j (S-153)', (name, data, at) => {
    expect(new Set(placesOf(CAEP + name, data))).toEqual(new Set(at))
  })

  it('lets types it does not know pass (S-157)', () => {
    expect(placesOf(`${CAEP}not-yet-invented`, { event_timestamp: 'x' })).toEqual([])
  })
})

describe('RISC events (RISC 1.0 §2)', () => {
  const email = { format: 'email', email: 'old@example.com' }

  it.each([
    ['account-credential-change-required', {}],
    ['account-purged', {}],
    ['account-disabled', { reason: 'hijacking' }],
    ['account-disabled', {}],
    ['account-enabled', {}],
    ['credential-compromise', { credential_type: 'password', event_timestamp: 1, reason_admin: { en: 'x' } }],
    ['opt-in', {}],
    ['opt-out-initiated', {}],
    ['opt-out-cancelled', {}],
    ['opt-out-effective', {}],
    ['recovery-activated', {}],
    ['recovery-information-changed', {}],
    ['sessions-revoked', {}],
  ])('takes %s %j', (name, data) => {
    expect(placesOf(RISC + name, data)).toEqual([])
  })

  it.each([
    ['account-disabled', { reason: 'bad luck' }, ['…/reason']],
    ['credential-compromise', {}, ['…/credential_type']],
    ['credential-compromise', { credential_type: 'pin', reason_user: [] }, ['…/reason_user']],
  ])('refuses %s %j (S-153)', (name, data, at) => {
    expect(placesOf(RISC + name, data)).toEqual(at)
  })

  it.each(['identifier-changed', 'identifier-recycled'])('%s is about an email address or a telephone number', name => {
    expect(placesOf(RISC + name, {}, email)).toEqual([])
    expect(placesOf(RISC + name, {}, { format: 'phone_number', phone_number: '+12065550100' })).toEqual([])
    expect(placesOf(RISC + name, { subject: email })).toEqual([])
    expect(placesOf(RISC + name, {}, { format: 'opaque', id: 'x' })).toEqual(['…'])
    expect(placesOf(RISC + name, {})).toEqual(['…'])
  })

  it('identifier-changed may tell the new value', () => {
    expect(placesOf(`${RISC}identifier-changed`, { 'new-value': 'new@example.com' }, email)).toEqual([])
    expect(placesOf(`${RISC}identifier-changed`, { 'new-value': 5 }, email)).toEqual(['…/new-value'])
  })
})
