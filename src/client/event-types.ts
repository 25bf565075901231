/**
 * The events and subjects of CAEP 1.0, RISC 1.0 and RFC 9493 as types, so that an editor knows them. Any other event is
 * an object under its own absolute URI. Types and URIs only: the transmitter validates.
 */

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
} as const

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
} as const

/** One of the listed values, which an editor offers, or another that both sides agreed on. */
type Open<Listed extends string> = Listed | (string & Record<never, never>)

/** Text by BCP 47 language tag, such as `{"en": "…"}`. */
export type LocalizedText = { readonly [languageTag: string]: string }

/** Members that every CAEP event may have (CAEP 1.0 section 2). */
export interface CaepEvent {
  /** When it happened: seconds since 1970. Always send it: some receivers refuse events without it. */
  readonly event_timestamp?: number
  readonly initiating_entity?: 'admin' | 'user' | 'policy' | 'system'
  readonly reason_admin?: LocalizedText
  readonly reason_user?: LocalizedText
}

export type CredentialType = Open<
  | 'password'
  | 'pin'
  | 'x509'
  | 'fido2-platform'
  | 'fido2-roaming'
  | 'fido-u2f'
  | 'verifiable-credential'
  | 'phone-voice'
  | 'phone-sms'
  | 'app'
>

export interface TokenClaimsChange extends CaepEvent {
  readonly claims: { readonly [claim: string]: unknown }
}
export interface CredentialChange extends CaepEvent {
  readonly credential_type: CredentialType
  readonly change_type: 'create' | 'revoke' | 'update' | 'delete'
  readonly friendly_name?: string
  readonly x509_issuer?: string
  readonly x509_serial?: string
  readonly fido2_aaguid?: string
}
export interface AssuranceLevelChange extends CaepEvent {
  readonly namespace: Open<'RFC8176' | 'RFC6711' | 'ISO-IEC-29115' | 'NIST-IAL' | 'NIST-AAL' | 'NIST-FAL'>
  readonly current_level: string
  readonly previous_level?: string
  readonly change_direction?: 'increase' | 'decrease'
}
export type ComplianceStatus = 'compliant' | 'not-compliant'
export interface DeviceComplianceChange extends CaepEvent {
  readonly previous_status: ComplianceStatus
  readonly current_status: ComplianceStatus
}
export interface SessionEstablished extends CaepEvent {
  readonly fp_ua?: string
  readonly acr?: string
  readonly amr?: readonly string[]
  readonly ext_id?: string
}
export interface SessionPresented extends CaepEvent {
  readonly fp_ua?: string
  readonly ext_id?: string
}
export type RiskLevel = 'LOW' | 'MEDIUM' | 'HIGH'
export interface RiskLevelChange extends CaepEvent {
  readonly principal: Open<'USER' | 'DEVICE' | 'SESSION' | 'TENANT' | 'ORG_UNIT' | 'GROUP'>
  readonly current_level: RiskLevel
  readonly previous_level?: RiskLevel
  readonly risk_reason?: string
}
export interface AccountDisabled {
  readonly reason?: Open<'hijacking' | 'bulk-account'>
}
export interface IdentifierChanged {
  readonly 'new-value'?: string
}
export interface CredentialCompromise {
  readonly credential_type: CredentialType
  readonly event_timestamp?: number
  readonly reason_admin?: LocalizedText
  readonly reason_user?: LocalizedText
}

export interface KnownEvents {
  readonly [CAEP.sessionRevoked]?: CaepEvent
  readonly [CAEP.tokenClaimsChange]?: TokenClaimsChange
  readonly [CAEP.credentialChange]?: CredentialChange
  readonly [CAEP.assuranceLevelChange]?: AssuranceLevelChange
  readonly [CAEP.deviceComplianceChange]?: DeviceComplianceChange
  readonly [CAEP.sessionEstablished]?: SessionEstablished
  readonly [CAEP.sessionPresented]?: SessionPresented
  readonly [CAEP.riskLevelChange]?: RiskLevelChange
  readonly [RISC.accountDisabled]?: AccountDisabled
  readonly [RISC.identifierChanged]?: IdentifierChanged
  readonly [RISC.credentialCompromise]?: CredentialCompromise
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
