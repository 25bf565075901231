/**
 * Configuration: the environment, read once and validated. The only reader of `process.env`.
 * Units end a name: `…_MS` milliseconds, `…_BYTES` bytes, `…_PERCENT` of a whole.
 */
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { SetupError } from './errors.ts'

const integer = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })
const text = (value: string, description: string, pattern?: string) =>
  Type.String({ default: value, description, ...(pattern === undefined ? {} : { pattern }) })
const optional = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
/** Names as RFC 6749 §3.3 writes them, with spaces between. */
const scopes = (value: string, description: string) => text(value, description, '^[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*$')
const day = 86_400_000

/** `host:port`; an IPv6 host stands in brackets. */
const LISTEN = '^(\\[[0-9a-fA-F:.]+\\]|[^:\\s]+):\\d{1,5}$'

export const Settings = Type.Object({
  REDIS_URL: optional('Redis: redis://, rediss://, redis+sentinel://, redis+cluster://. Unset: the embedded server.'),
  KEY_PREFIX: text('set', 'First part of every key in Redis.', '^[a-z0-9][a-z0-9-]{0,31}$'),
  REDIS_SERVER_BIN: optional('Server binary of the embedded default.'),
  DATA_DIR: text('.data', 'Where the embedded default keeps its data.'),
  ISSUER: text('http://127.0.0.1:8080', '`iss` of every SET.', '^[a-zA-Z][a-zA-Z0-9+.-]*:\\S+$'),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://\\S+$',
      description: 'Base of pollUrl. Unset: ISSUER, if it is an http(s) URL.',
    }),
  ),
  PUBLIC_LISTEN: text('127.0.0.1:8080', 'Public listener; port 0 is any free port.', LISTEN),
  INTERNAL_LISTEN: text('127.0.0.1:8081', 'Internal listener.', LISTEN),
  OPS_LISTEN: text('127.0.0.1:9464', 'Operations listener.', LISTEN),
  TLS_CERT_FILE: optional('Certificate of the public listener, PEM.'),
  TLS_KEY_FILE: optional('Key of the public listener, PEM.'),
  TLS_CLIENT_CA_FILE: optional('Authorities whose client certificates the public listener takes, PEM.'),
  ALLOW_PLAIN_HTTP: Type.Optional(
    Type.Literal('behind-proxy', {
      description: 'Plain HTTP off loopback on the public listener, behind a TLS proxy.',
    }),
  ),
  INTERNAL_TLS_CERT_FILE: optional('Certificate of the internal listener, PEM.'),
  INTERNAL_TLS_KEY_FILE: optional('Key of the internal listener, PEM.'),
  INTERNAL_TLS_CLIENT_CA_FILE: optional('Authorities whose client certificates the internal listener takes, PEM.'),
  ALLOW_PLAIN_HTTP_INTERNAL: Type.Optional(
    Type.Literal('yes', { description: 'Plain HTTP off loopback on the internal listener.' }),
  ),
  TRUST_PROXY: optional('Addresses, comma-separated, whose forwarded headers count.'),
  KEYS_DIR: Type.Optional(Type.String({ minLength: 1, description: 'Private signing keys. Unset: DATA_DIR/keys.' })),
  SIGNING_ALG: Type.Union(
    ['ES256', 'RS256', 'PS256', 'EdDSA'].map(alg => Type.Literal(alg as 'ES256' | 'RS256' | 'PS256' | 'EdDSA')),
    { default: 'ES256', description: 'Algorithm of new keys: ES256, RS256, PS256 or EdDSA.' },
  ),
  POLL_WAIT_MS: integer(30_000, 0, 120_000, 'Longest a poll is held (T).'),
  REDELIVER_AFTER_MS: integer(60_000, 0, 30 * day, 'How long a SET is in flight before it is owed again (R).'),
  PAGE_MAX: integer(100, 1, 1000, 'SETs a response (C).'),
  PAGE_BYTES_MAX: integer(4_194_304, 1024, 67_108_864, 'Bytes of SETs a response; at least one SET is returned.'),
  BODY_BYTES_MAX: integer(1_048_576, 1024, 67_108_864, 'Body of a poll (B).'),
  MAX_ATTEMPTS: integer(20, 0, 1_000_000, 'Deliveries before parking; 0 is no limit (N).'),
  PARK_AFTER_MS: integer(day, 0, 3650 * day, 'Least age of a SET parked for its attempts.'),
  HELD_POLLS_PER_RECEIVER: integer(32, 1, 100_000, 'Held polls of a receiver in a process (W).'),
  HELD_POLLS_MAX: integer(20_000, 1, 1_000_000, 'Held polls in a process.'),
  BACKLOG_MAX: integer(100_000, 1, 1_000_000_000, 'Unacknowledged and parked SETs of a receiver before 429.'),
  BACKLOG_BYTES_MAX: integer(268_435_456, 1024, 1e15, 'The same in bytes of SETs.'),
  MEMORY_HIGH_PERCENT: integer(80, 1, 100, "Of Redis's maxmemory: above it the fullest receivers get 429."),
  SET_BYTES_MAX: integer(65_536, 512, 1_048_576, 'One SET.'),
  PUBLISH_BODY_BYTES_MAX: integer(8_388_608, 1024, 268_435_456, 'Body of a call on the internal listener.'),
  DELIVERIES_PER_CALL_MAX: integer(10_000, 1, 1_000_000, 'SETs one publish call may make.'),
  HEADER_TIMEOUT_MS: integer(10_000, 100, 600_000, 'Slow headers are cut off.'),
  BODY_TIMEOUT_MS: integer(10_000, 100, 600_000, 'Slow bodies are cut off.'),
  WRITE_TIMEOUT_MS: integer(30_000, 100, 600_000, 'Clients that do not read their answer are cut off.'),
  RATE_LIMIT_POLL: integer(
    600,
    0,
    1e9,
    'Polls a minute and receiver that found nothing and were not held; 0 is no limit.',
  ),
  RATE_LIMIT_ANONYMOUS: integer(60, 0, 1e9, 'Refused requests a minute, address and process; 0 is no limit.'),
  CONNECTIONS_MAX: integer(30_000, 1, 1e6, 'Connections of a listener; further ones are closed at once.'),
  EVENT_LOOP_LAG_MAX_MS: integer(1000, 0, 60_000, 'Lag of the process above which requests get 503; 0 is no limit.'),
  HEAP_MAX_PERCENT: integer(90, 0, 100, "Of the process's heap limit: above it requests get 503; 0 is no limit."),
  DRAIN_DELAY_MS: integer(0, 0, 600_000, 'After SIGTERM: unready but serving.'),
  SHUTDOWN_GRACE_MS: integer(25_000, 0, 600_000, 'Time for requests and jobs to finish.'),
  EXPIRE_AFTER_MS: integer(0, 0, 3650 * day, 'Unacknowledged SETs older than this are parked; 0 is never.'),
  TOE_ROUND_MS: integer(0, 0, 3650 * day, '`toe` is rounded down to a multiple of this; 0 is as it was stated.'),
  RETAIN_ACKED_MS: integer(0, 0, 3650 * day, 'How long acknowledged SETs stay for replay.'),
  RETAIN_PARKED_MS: integer(30 * day, 0, 3650 * day, 'How long dead letters stay.'),
  RETAIN_ERRORS_MS: integer(30 * day, 0, 3650 * day, 'How long error reports stay.'),
  DEDUPE_WINDOW_MS: integer(600_000, 1000, 30 * day, 'How long at least a finished jti is answered `duplicate`.'),
  METRICS_RECEIVERS_MAX: integer(10_000, 0, 1_000_000, 'Receivers with series of their own.'),
  METRICS_SNAPSHOT_MS: integer(10_000, 100, 600_000, 'Time from one snapshot of Redis for metrics to the next.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({ pattern: '^https?://\\S+$', description: 'Where traces go, by OTLP over HTTP. Unset: no traces.' }),
  ),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    default: 1,
    minimum: 0,
    maximum: 1,
    description: 'Share of SETs that are traced, from 0 to 1.',
  }),
  OTEL_SERVICE_NAME: text('setstream', 'Name of this service in traces.', '^[^\\s].{0,127}$'),
  CONFIRM: text('written', 'What a 202 and an acknowledgement wait for.', '^(written|fsynced|replicated:[1-9]\\d?)$'),
  FOREIGN_ISSUERS: optional('Issuers whose SETs have to verify: JSON, issuer to the URL of its key set.'),
  OAUTH_ISSUER: Type.Optional(
    Type.String({
      // Discovered keys are only as good as the connection that brought them.
      pattern: '^(https://[^?#\\s]+|http://(127\\.[0-9.]+|\\[::1\\]|localhost)(:\\d+)?(/[^?#\\s]*)?)$',
      description: 'Issuer of JWT access tokens: an https URL, or http on loopback.',
    }),
  ),
  OAUTH_AUDIENCE: optional('Our audience in JWT access tokens; goes with OAUTH_ISSUER.'),
  OAUTH_SCOPE_POLL: scopes('poll', 'Scopes of an access token, any of which lets a client poll.'),
  OAUTH_SCOPE_PUBLISH: scopes('publish', 'The same for publishing.'),
  OAUTH_SCOPE_FOREIGN: scopes('foreign', 'Lets a client that may publish append SETs issued elsewhere too.'),
  OAUTH_SCOPE_READ: scopes('read', 'The same for reading on the internal listener.'),
  OAUTH_SCOPE_ADMIN: scopes('admin', 'The same for administration.'),
  ADMIN_TOKEN: Type.Optional(Type.String({ minLength: 16, description: 'First credential; at least 16 characters.' })),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(level => Type.Literal(level)),
    { default: 'info', description: 'fatal, error, warn, info, debug, trace or silent.' },
  ),
})

export type Config = Readonly<Static<typeof Settings>>

/**
 * @param env the environment; an empty value counts as unset.
 * @throws {SetupError} naming every bad variable and what it may be, never its value, which may be a secret.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given: Record<string, unknown> = {}
  for (const name of Object.keys(Settings.properties)) {
    const value = env[name]
    if (value !== undefined && value !== '') given[name] = value
  }
  const config = Value.Default(Settings, Value.Convert(Settings, given))
  const faults = [...Value.Errors(Settings, config)]
  if (faults.length > 0) {
    const names = [...new Set(faults.map(fault => fault.path.split('/')[1] ?? ''))]
    throw new SetupError(names.map(name => `${name}: ${whatItMayBe(name)}`).join('\n'))
  }
  return Object.freeze(config as Static<typeof Settings>)
}

function whatItMayBe(name: string): string {
  const schema = Settings.properties[name as keyof typeof Settings.properties] as {
    type?: string
    minimum?: number
    maximum?: number
    description?: string
  }
  const range = schema.type === 'integer' ? `a whole number from ${schema.minimum} to ${schema.maximum}. ` : ''
  return `not valid. It is ${range}${schema.description ?? ''}`
}
