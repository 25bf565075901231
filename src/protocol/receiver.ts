/**
 * What an operator says about a receiver: its registration, a change to it, and its settings.
 * Nothing is filled in here: what is absent follows the process defaults.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { Fault } from '../errors.ts'
import { isObject, jsonFaults } from './json.ts'
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
    { description: 'ES256, RS256, PS256 or EdDSA.' },
  ),
  toeRoundMs: milliseconds(3650 * day, '`toe` is rounded down to a multiple of this; 0: as it was stated.'),
  sloMs: milliseconds(3650 * day, 'Age of an unacknowledged SET that breaks the objective.'),
}

export const Settings = Type.Partial(Type.Object(settings), none)
export type Settings = Static<typeof Settings>

/** How a receiver may authenticate besides our own tokens. */
export const Client = Type.Union(
  [
    Type.Object({ oauthClientId: Type.String({ minLength: 1, maxLength: 256 }) }, none),
    Type.Object({ certSan: Type.String({ minLength: 1, maxLength: 256 }) }, none),
    Type.Object({ certSha256: Type.String({ pattern: '^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$' }) }, none),
  ],
  { description: 'one of oauthClientId, certSan and certSha256 (64 hexadecimal digits).' },
)
export type Client = Static<typeof Client>

const audienceValue = Type.String({ minLength: 1, maxLength: 1024 })

/** What a change may also take away. */
const removable = {
  description: Type.String({ maxLength: 1024 }),
  owner: Type.String({ minLength: 1, maxLength: 256 }),
  clients: Type.Array(Client, { maxItems: 32 }),
}

const changeable = {
  eventTypes: Type.Union(
    [
      Type.Tuple([Type.Literal('*')]),
      Type.Array(Type.String({ pattern: URI_PATTERN, maxLength: 1024 }), { maxItems: 1000, uniqueItems: true }),
    ],
    { description: '["*"], or event type URIs.' },
  ),
  status: Type.Union([Type.Literal('enabled'), Type.Literal('paused'), Type.Literal('disabled')], {
    description: 'enabled, paused or disabled.',
  }),
}
const optionally = Type.Partial(Type.Object({ ...changeable, ...removable })).properties

export const ReceiverInput = Type.Object(
  {
    id: Type.String({
      pattern: RECEIVER_ID_PATTERN,
      description: '1 to 63 of a-z, 0-9 and -, not beginning with -.',
    }),
    audience: Type.Union([audienceValue, Type.Array(audienceValue, { minItems: 1, maxItems: 32, uniqueItems: true })], {
      description: '`aud` of its SETs: a string, or an array of different strings.',
    }),
    ...optionally,
    settings: Type.Optional(Settings),
  },
  none,
)
export type ReceiverInput = Static<typeof ReceiverInput>

const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

/** A JSON merge patch (RFC 7396): null takes a member away. `id` and `audience` never change. */
export const ReceiverPatch = Type.Object(
  {
    ...Type.Partial(Type.Object(changeable)).properties,
    description: orNull(removable.description),
    owner: orNull(removable.owner),
    clients: orNull(removable.clients),
    settings: orNull(
      Type.Object(
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
          toeRoundMs: orNull(settings.toeRoundMs),
          sloMs: orNull(settings.sloMs),
        },
        none,
      ),
    ),
  },
  none,
)
export type ReceiverPatch = Static<typeof ReceiverPatch>

/** The patch without what it takes away: a union with null would name a fault inside it by its outermost place only. */
const Changes = Type.Object({ ...optionally, settings: Type.Optional(Settings) }, none)

export function validateReceiverInput(input: unknown): Fault[] {
  return faultsOf(ReceiverInput, input)
}

export function validateReceiverPatch(patch: unknown): Fault[] {
  if (!isObject(patch)) return faultsOf(Changes, patch)
  const changes = withoutNulls(patch, ['description', 'owner', 'clients', 'settings'])
  if (isObject(changes.settings)) changes.settings = withoutNulls(changes.settings, Object.keys(settings))
  return faultsOf(Changes, changes)
}

function faultsOf(schema: TSchema, value: unknown): Fault[] {
  const faults = jsonFaults(value, '')
  return faults.length > 0 ? faults : schemaFaults(schema, value)
}

function withoutNulls(value: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name, member]) => member !== null || !names.includes(name)))
}
