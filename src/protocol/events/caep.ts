/** Events of the Continuous Access Evaluation Profile. Source: CAEP 1.0 §2 (members of every event), §3. */
import { type Static, Type } from '@sinclair/typebox'
import { credentialType, localized, name, oneOf, oneOfOrAgreed, seconds, text } from './members.ts'

const BASE = 'https://schemas.openid.net/secevent/caep/event-type/'

const common = {
  event_timestamp: Type.Optional(seconds),
  initiating_entity: Type.Optional(oneOf('admin', 'user', 'policy', 'system')),
  reason_admin: Type.Optional(localized),
  reason_user: Type.Optional(localized),
}
const level = oneOf('LOW', 'MEDIUM', 'HIGH')
const compliance = oneOf('compliant', 'not-compliant')

export const CAEP_EVENTS = {
  [`${BASE}session-revoked`]: Type.Object(common),
  [`${BASE}token-claims-change`]: Type.Object({
    ...common,
    claims: Type.Unsafe<Record<string, unknown>>(
      Type.Object({}, { minProperties: 1, description: 'an object of one or more claims with their new values' }),
    ),
  }),
  [`${BASE}credential-change`]: Type.Object({
    ...common,
    credential_type: credentialType,
    change_type: oneOf('create', 'revoke', 'update', 'delete'),
    friendly_name: Type.Optional(text),
    x509_issuer: Type.Optional(text),
    x509_serial: Type.Optional(text),
    fido2_aaguid: Type.Optional(text),
  }),
  [`${BASE}assurance-level-change`]: Type.Object({
    ...common,
    namespace: oneOfOrAgreed('RFC8176', 'RFC6711', 'ISO-IEC-29115', 'NIST-IAL', 'NIST-AAL', 'NIST-FAL'),
    current_level: name,
    previous_level: Type.Optional(name),
    change_direction: Type.Optional(oneOf('increase', 'decrease')),
  }),
  [`${BASE}device-compliance-change`]: Type.Object({
    ...common,
    previous_status: compliance,
    current_status: compliance,
  }),
  [`${BASE}session-established`]: Type.Object({
    ...common,
    fp_ua: Type.Optional(text),
    acr: Type.Optional(text),
    amr: Type.Optional(Type.Array(Type.String(), { description: 'an array of strings' })),
    ext_id: Type.Optional(text),
  }),
  [`${BASE}session-presented`]: Type.Object({ ...common, fp_ua: Type.Optional(text), ext_id: Type.Optional(text) }),
  [`${BASE}risk-level-change`]: Type.Object({
    ...common,
    principal: oneOfOrAgreed('USER', 'DEVICE', 'SESSION', 'TENANT', 'ORG_UNIT', 'GROUP'),
    current_level: level,
    previous_level: Type.Optional(level),
    risk_reason: Type.Optional(text),
  }),
} as const

export type CaepEvents = { [Type in keyof typeof CAEP_EVENTS]: Static<(typeof CAEP_EVENTS)[Type]> }
