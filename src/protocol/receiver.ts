/**
 * What an operator says about a receiver: its registration, a change to it, and its settings.
 * Nothing is filled in here: what is absent follows the process defaults.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { Fault } from '../errors.ts'
import { schemaFaults } from './schema-faults.ts'
import { URI_PATTERN } from './uri.ts'

export const RECEIVER_ID_PATTERN = '^[a-z0-9][a-z0-9-]{0,62}$'
export const RECEIVER_ID = new RegExp(RECEIVER_ID_PATTERN)

export const SIGNING_ALGS = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const
export type SigningAlg = (typeof SIGNING_ALGS)[number]

const day = 86_400_000
const none = { additionalProperties: false }
const milliseconds = (maximum: number, description: string) => Type.Integer({ minimum: 0, maximum, description })

const settings = {
  pageMax: Type.Integer({ minimum: 1, maximum: 1000, description: 'SETs a response.' }),
  pollWaitMs: milliseconds(120_000, 'Longest a poll is held.'),
  redeliverAfterMs: milliseconds(30 * day, 'How long a SET is in flight before it is owed again.'),
  maxAttempts: Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Deliveries before parking; 0: no limit.' }),
  parkAfterMs: milliseconds(3650 * day, 'Least age of a SET parked for its attempts.'),
  backlogMax: Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'Unacknowledged and parked SETs.' }),
  expireAfterMs: milliseconds(3650 * day, 'Unacknowledged SETs older than this are parked; 0: never.'),
  retainAckedMs: milliseconds(3650 * day, 'How long acknowledged SETs stay for replay.'),
  signingAlg: Type.Union(
    SIGNING_ALGS.map(alg => Type.Literal(alg)),
    { description: 'Algorithm of this receiver’s SETs.' },
  ),
  sloMs: milliseconds(3650 * day, 'Age of an unacknowledged SET that breaks the objective.'),
}

export const Settings = Type.Partial(Type.Object(settings), none)
export type Settings = Static<typeof Settings>

/** How a receiver may authenticate besides our own tokens. */
export const Client = Type.Union([
  Type.Object({ oauthClientId: Type.String({ minLength: 1, maxLength: 256 }) }, none),
  Type.Object({ certSan: Type.String({ minLength: 1, maxLength: 256 }) }, none),
  Type.Object({ certSha256: Type.String({ pattern: '^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$' }) }, none),
])
export type Client = Static<typeof Client>

const audienceValue = Type.String({ minLength: 1, maxLength: 1024 })
const description = Type.String({ maxLength: 1024 })
const owner = Type.String({ minLength: 1, maxLength: 256 })
const clients = Type.Array(Client, { maxItems: 32 })

const changeable = {
  eventTypes: Type.Union(
    [
      Type.Tuple([Type.Literal('*')]),
      Type.Array(Type.String({ pattern: URI_PATTERN, maxLength: 1024 }), { maxItems: 1000, uniqueItems: true }),
    ],
    { description: '["*"], or event type URIs.' },
  ),
  status: Type.Union([Type.Literal('enabled'), Type.Literal('paused'), Type.Literal('disabled')]),
}

export const ReceiverInput = Type.Object(
  {
    id: Type.String({ pattern: RECEIVER_ID_PATTERN }),
    audience: Type.Union([audienceValue, Type.Array(audienceValue, { minItems: 1, maxItems: 32, uniqueItems: true })]),
    ...Type.Partial(Type.Object(changeable)).properties,
    description: Type.Optional(description),
    owner: Type.Optional(owner),
    clients: Type.Optional(clients),
    settings: Type.Optional(Settings),
  },
  none,
)
export type ReceiverInput = Static<typeof ReceiverInput>

const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const SettingsPatch = Type.Object(
  {
    pageMax: orNull(settings.pageMax),
    pollWaitMs: orNull(settings.pollWaitMs),
    redeliverAfterMs: orNull(settings.redeliverAfterMs),
    maxAttempts: orNull(settings.maxAttempts),
    parkAfterMs: orNull(settings.parkAfterMs),
    backlogMax: orNull(settings.backlogMax),
    expireAfterMs: orNull(settings.expireAfterMs),
    retainAckedMs: orNull(settings.retainAckedMs),
    signingAlg: orNull(settings.signingAlg),
    sloMs: orNull(settings.sloMs),
  },
  none,
)

/** A JSON merge patch (RFC 7396): null takes a member away. `id` and `audience` never change. */
export const ReceiverPatch = Type.Object(
  {
    ...Type.Partial(Type.Object(changeable)).properties,
    description: orNull(description),
    owner: orNull(owner),
    clients: orNull(clients),
    settings: orNull(SettingsPatch),
  },
  none,
)
export type ReceiverPatch = Static<typeof ReceiverPatch>

export function validateReceiverInput(input: unknown): Fault[] {
  return schemaFaults(ReceiverInput, input)
}

export function validateReceiverPatch(patch: unknown): Fault[] {
  return schemaFaults(ReceiverPatch, patch)
}
