/** Events of the Risk Incident Sharing and Coordination profile. Source: RISC 1.0 §2. */
import { type Static, Type } from '@sinclair/typebox'
import { credentialType, localized, oneOf, seconds, text } from './members.ts'

const BASE = 'https://schemas.openid.net/secevent/risc/event-type/'

/** What has no members of its own: the subject says it all. */
const bare = Type.Object({})

export const RISC_EVENTS = {
  [`${BASE}account-credential-change-required`]: bare,
  [`${BASE}account-purged`]: bare,
  [`${BASE}account-disabled`]: Type.Object({ reason: Type.Optional(oneOf('hijacking', 'bulk-account')) }),
  [`${BASE}account-enabled`]: bare,
  [`${BASE}identifier-changed`]: Type.Object({ 'new-value': Type.Optional(text) }),
  [`${BASE}identifier-recycled`]: bare,
  [`${BASE}credential-compromise`]: Type.Object({
    credential_type: credentialType,
    event_timestamp: Type.Optional(seconds),
    reason_admin: Type.Optional(localized),
    reason_user: Type.Optional(localized),
  }),
  [`${BASE}opt-in`]: bare,
  [`${BASE}opt-out-initiated`]: bare,
  [`${BASE}opt-out-cancelled`]: bare,
  [`${BASE}opt-out-effective`]: bare,
  [`${BASE}recovery-activated`]: bare,
  [`${BASE}recovery-information-changed`]: bare,
  /** Deprecated in favour of CAEP's session-revoked. */
  [`${BASE}sessions-revoked`]: bare,
} as const

export type RiscEvents = { [Type in keyof typeof RISC_EVENTS]: Static<(typeof RISC_EVENTS)[Type]> }

/** Their subject is the identifier itself, with its old value (RISC 1.0 §2.5, §2.6). */
export const ABOUT_AN_IDENTIFIER: ReadonlySet<string> = new Set([
  `${BASE}identifier-changed`,
  `${BASE}identifier-recycled`,
])
export const IDENTIFIER_FORMATS: ReadonlySet<unknown> = new Set(['email', 'phone_number'])
