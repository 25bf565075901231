/** Is this Redis one that keeps what we promise? */
import { confirmLevel } from '../store/confirm.ts'
import type { ServerFacts, SettingName } from '../store/server-facts.ts'
import { type Finding, failure, ok, roughly, warning } from './finding.ts'

/** Script flags and sharded pub/sub came with it. */
const OLDEST_MAJOR = 7
/** `iat` is our clock, ages are Redis's: apart by this much both are believed by nobody. */
const SKEW_WARN_MS = 1000
const SKEW_FAIL_MS = 30_000
const STREAM_NODE_BYTES = 1024

export function redisFindings(servers: readonly ServerFacts[], confirm: string, memoryHighPercent: number): Finding[] {
  return servers.flatMap(server => [
    version(server),
    ...memory(server, memoryHighPercent),
    ...persistence(server, confirm),
    clockSkew(server),
    ...tuning(server),
  ])
}

function version({ name, product, version, role }: ServerFacts): Finding {
  const check = `${name}: version`
  if (!(Number.parseInt(version, 10) >= OLDEST_MAJOR)) {
    return failure(
      check,
      `it is ${product} ${version}, 7.0 or newer is needed`,
      'Use Redis 7.0 or newer, or Valkey 7.2 or newer.',
    )
  }
  if (role !== 'master')
    return failure(check, `it is a ${role}`, 'Let REDIS_URL name the master, or use redis+sentinel://.')
  return ok(check, `${product} ${version}`)
}

function memory(server: ServerFacts, highPercent: number): Finding[] {
  const { name, usedBytes, maxBytes } = server
  const policy = setting(server, 'maxmemory-policy')
  const findings: Finding[] = []
  if (policy === undefined) findings.push(unknown(server, 'maxmemory-policy', 'noeviction'))
  else if (policy !== 'noeviction') {
    findings.push(
      failure(
        `${name}: eviction`,
        `maxmemory-policy is ${policy}: Redis would throw SETs away`,
        'CONFIG SET maxmemory-policy noeviction, and in redis.conf.',
      ),
    )
  } else findings.push(ok(`${name}: eviction`, 'noeviction'))
  const check = `${name}: memory`
  if (maxBytes === 0) {
    findings.push(
      warning(
        check,
        `${mebibytes(usedBytes)} used, no limit`,
        'Set maxmemory below what the machine has: without it the machine runs full before anybody is told.',
      ),
    )
  } else {
    const percent = Math.round((usedBytes / maxBytes) * 100)
    const found = `${mebibytes(usedBytes)} of ${mebibytes(maxBytes)}, ${percent} %`
    findings.push(
      percent >= highPercent
        ? failure(check, found, 'Publishing is or will be refused: see docs/operate.md#redis-memory-high.')
        : ok(check, found),
    )
  }
  return findings
}

function persistence(server: ServerFacts, confirm: string): Finding[] {
  const { name, connectedReplicas, isLastWriteOk } = server
  const check = `${name}: persistence`
  const level = confirmLevel(confirm)
  const findings: Finding[] = []
  if (!isLastWriteOk) {
    findings.push(
      failure(`${name}: disk`, 'the last write to disk failed', 'Look into its log: a full disk, most often.'),
    )
  }
  if (typeof level === 'object') {
    findings.push(
      connectedReplicas >= level.replicas
        ? ok(`${name}: replicas`, `${connectedReplicas}, CONFIRM needs ${level.replicas}`)
        : failure(
            `${name}: replicas`,
            `${connectedReplicas}, CONFIRM needs ${level.replicas}`,
            'Add replicas, or ask for fewer by CONFIRM: until then every publish and acknowledgement is answered with 503.',
          ),
    )
  }
  const appendonly = setting(server, 'appendonly')
  const appendfsync = setting(server, 'appendfsync')
  if (appendonly === undefined) {
    findings.push(unknown(server, 'appendonly', 'yes'))
  } else if (appendonly !== 'yes') {
    findings.push(
      failure(
        check,
        `appendonly is ${appendonly}: a restart of Redis loses what came since its last snapshot`,
        'CONFIG SET appendonly yes, and in redis.conf.',
      ),
    )
  } else if (level === 'fsynced' && appendfsync !== 'always') {
    findings.push(
      failure(
        check,
        `CONFIRM=fsynced, but appendfsync is ${appendfsync}`,
        'CONFIG SET appendfsync always, and in redis.conf; or choose another CONFIRM.',
      ),
    )
  } else {
    findings.push(ok(check, `append-only file, fsync ${appendfsync}; CONFIRM=${confirm}`))
  }
  return findings
}

function clockSkew({ name, clockAheadMs, clockDoubtMs }: ServerFacts): Finding {
  const check = `${name}: clock`
  const skewMs = Math.max(0, Math.abs(clockAheadMs) - clockDoubtMs)
  const found = `${roughlySigned(clockAheadMs)} of this host's`
  const advice = 'Let a time service (NTP) keep the clocks of all hosts.'
  if (skewMs > SKEW_FAIL_MS) return failure(check, found, advice)
  if (skewMs > SKEW_WARN_MS) return warning(check, found, advice)
  return ok(check, `within ${Math.ceil(skewMs)} ms of this host's`)
}

function tuning(server: ServerFacts): Finding[] {
  const { name } = server
  const lazy = setting(server, 'lazyfree-lazy-expire')
  const bytes = Number(setting(server, 'stream-node-max-bytes'))
  if (lazy === undefined)
    return [
      unknown(server, 'lazyfree-lazy-expire', 'yes'),
      unknown(server, 'stream-node-max-bytes', String(STREAM_NODE_BYTES)),
    ]
  return [
    lazy === 'yes'
      ? ok(`${name}: lazyfree-lazy-expire`, 'yes')
      : warning(
          `${name}: lazyfree-lazy-expire`,
          `${lazy}: Redis stands still while a large set of finished jtis expires`,
          'CONFIG SET lazyfree-lazy-expire yes, and in redis.conf.',
        ),
    bytes > 0 && bytes <= STREAM_NODE_BYTES
      ? ok(`${name}: stream-node-max-bytes`, String(bytes))
      : warning(
          `${name}: stream-node-max-bytes`,
          `${bytes}: acknowledged SETs hold up to four times the memory until their neighbours are acknowledged too`,
          `CONFIG SET stream-node-max-bytes ${STREAM_NODE_BYTES}, and in redis.conf.`,
        ),
  ]
}

function setting({ settings }: ServerFacts, name: SettingName): string | undefined {
  return settings?.get(name)
}

function unknown({ name }: ServerFacts, setting: SettingName, wanted: string): Finding {
  return warning(`${name}: ${setting}`, 'cannot be read: CONFIG GET is not allowed', `Make sure that it is ${wanted}.`)
}

function roughlySigned(ms: number): string {
  return `${roughly(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}`
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`
}
