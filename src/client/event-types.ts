/**
 * The events and subjects of CAEP 1.0, RISC 1.0 and RFC 9493 as types, so that an editor knows them. Any other event is
 * an object under its own absolute URI. Types and URIs only: the transmitter validates.
 */
import type { CaepEvents } from '../protocol/events/caep.ts'
import type { RiscEvents } from '../protocol/events/risc.ts'

const caep = 'https://schemas.openid.net/secevent/caep/event-type/'
const risc = 'https://schemas.openid.net/secevent/risc/event-type/'

export const CAEP = {
  sessionRevoked: `${caep}session-revoked`,
  tokenClaimsChange: `${caep}token-claims-change`,
  credentialChange: `${caep}credential-change`,
  assuranceLevelChange: `${caep}assurance-level-change`,
  deviceComplianceChange: `${caep}device-compliance-change`,
  sessionEstablished: `${caep}session-established`,
  sessionPresented: `${caep}session-presented`,
  riskLevelChange: `${caep}risk-level-change`,
} as const satisfies Record<string, keyof CaepEvents>

export const RISC = {
  accountCredentialChangeRequired: `${risc}account-credential-change-required`,
  accountPurged: `${risc}account-purged`,
  accountDisabled: `${risc}account-disabled`,
  accountEnabled: `${risc}account-enabled`,
  identifierChanged: `${risc}identifier-changed`,
  identifierRecycled: `${risc}identifier-recycled`,
  credentialCompromise: `${risc}credential-compromise`,
  optIn: `${risc}opt-in`,
  optOutInitiated: `${risc}opt-out-initiated`,
  optOutCancelled: `${risc}opt-out-cancelled`,
  optOutEffective: `${risc}opt-out-effective`,
  recoveryActivated: `${risc}recovery-activated`,
  recoveryInformationChanged: `${risc}recovery-information-changed`,
  /** Deprecated by RISC: new transmitters send CAEP's session-revoked. */
  sessionsRevoked: `${risc}sessions-revoked`,
} as const satisfies Record<string, keyof RiscEvents>

/** What CAEP and RISC say about their events, from the schemas that the transmitter validates with. */
export type KnownEvents = {
  readonly [Type in keyof CaepEvents]?: Readonly<CaepEvents[Type]>
} & {
  readonly [Type in keyof RiscEvents]?: Readonly<RiscEvents[Type]>
}

/** Event identifier → event. One identifier a SET, or several for aspects of one and the same event (RFC 8417 §2). */
export type Events = KnownEvents & { readonly [eventType: string]: object }

/** A subject by RFC 9493, or a complex subject of the Shared Signals Framework. */
export type SimpleSubject =
  | { readonly format: 'account'; readonly uri: string }
  | { readonly format: 'email'; readonly email: string }
  | { readonly format: 'iss_sub'; readonly iss: string; readonly sub: string }
  | { readonly format: 'opaque'; readonly id: string }
  | { readonly format: 'phone_number'; readonly phone_number: string }
  | { readonly format: 'did'; readonly url: string }
  | { readonly format: 'uri'; readonly uri: string }
  | { readonly format: 'jwt_id'; readonly iss: string; readonly jti: string }
  | { readonly format: 'saml_assertion_id'; readonly issuer: string; readonly assertion_id: string }
  | { readonly format: 'ip-addresses'; readonly 'ip-addresses': readonly string[] }
export type SubjectIdentifier =
  | SimpleSubject
  | { readonly format: 'aliases'; readonly identifiers: readonly SimpleSubject[] }
  | { readonly format: 'complex'; readonly [member: string]: SubjectIdentifier | string }
  | OtherSubject
/** A format of one's own, named by a collision-resistant name. */
export interface OtherSubject {
  readonly format: `${string}:${string}` | `${string}.${string}`
  readonly [member: string]: unknown
}

/** What a producer publishes. */
export interface SecurityEvent {
  /** 1 to 128 characters, unique for this producer: what makes a repeated call harmless. Made up if absent. */
  readonly id?: string
  readonly events: Events
  readonly sub_id?: SubjectIdentifier
  readonly sub?: string
  /** Relates the SETs of one cause. Derived from `id` if absent. */
  readonly txn?: string
  /** When the event happened: seconds since 1970. */
  readonly toe?: number
  /** Only to these. Absent: to every receiver that subscribed to the event's type. */
  readonly receivers?: readonly string[]
}
