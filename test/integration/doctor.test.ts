/** The doctor finds what is wrong, says what to change, and finds nothing where all is well. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { examine } from '../../src/doctor/doctor.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { ROLES, type Role } from '../../src/serve/roles.ts'
import { openLab } from '../support/feed.ts'
import { startPrivateRedis } from '../support/redis.ts'
import type { TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const AS_IT_SHOULD = [
  ...['--maxmemory', '256mb', '--maxmemory-policy', 'noeviction'],
  ...['--lazyfree-lazy-expire', 'yes', '--stream-node-max-bytes', '1024'],
]
const healthy = await startPrivateRedis({ args: AS_IT_SHOULD })
const lab = await openLab({ REDIS_URL: healthy.url }, ['public', 'internal', 'workers'])
const empty = await mkdtemp(join(tmpdir(), 'setstream-test-'))
afterAll(() => rm(empty, { recursive: true, force: true }))

/** The environment of a host that runs this transmitter. */
function envOf({ publicUrl, internalUrl, opsUrl, keysDir }: TestTransmitter): Record<string, string> {
  return {
    REDIS_URL: healthy.url,
    KEY_PREFIX: lab.prefix,
    KEYS_DIR: keysDir,
    DATA_DIR: empty,
    PUBLIC_URL: publicUrl,
    PUBLIC_LISTEN: new URL(publicUrl).host,
    INTERNAL_LISTEN: new URL(internalUrl).host,
    OPS_LISTEN: new URL(opsUrl).host,
  }
}

async function examined(
  env: Record<string, string>,
  { roles = ROLES, receiver }: { roles?: readonly Role[]; receiver?: string } = {},
): Promise<Finding[]> {
  const findings: Finding[] = []
  await examine(readConfig(env), {
    roles,
    receiver,
    onFindings: found => findings.push(...found),
    onProgress: () => {},
  })
  return findings
}

const troubles = (findings: readonly Finding[]) => findings.filter(({ state }) => state !== 'ok')
const about = (findings: readonly Finding[], check: string) => findings.filter(finding => finding.check.includes(check))

async function workersRan(): Promise<void> {
  await until('a worker has run', async () => (await lab.redis.hlen(`${lab.prefix}:worker-runs`)) > 0, 10_000)
}

describe('where all is well', () => {
  it('finds nothing to change', async () => {
    await workersRan()
    const findings = await examined(envOf(lab.transmitter))
    expect(troubles(findings)).toEqual([])
    for (const part of [
      'version',
      'eviction',
      'persistence',
      'clock',
      'keys',
      'listener',
      'key set',
      'workers',
      'receivers',
    ]) {
      expect(about(findings, part), part).not.toEqual([])
    }
  })

  it('says so on the command line, with exit code 0, and as JSON', async () => {
    await workersRan()
    const text = await command([], envOf(lab.transmitter))
    expect(text.out).toContain('All is well.')
    expect(text.code).toBe(0)
    const json = await command(['--json'], envOf(lab.transmitter))
    const findings = json.out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Finding)
    expect(findings.length).toBeGreaterThan(10)
    expect(new Set(findings.map(({ state }) => state))).toEqual(new Set(['ok']))
  })
})

describe('Redis', () => {
  it('that evicts, keeps nothing on disk, and has no replicas is found out', async () => {
    const bad = await startPrivateRedis({
      args: [
        '--appendonly',
        'no',
        '--maxmemory',
        '64mb',
        '--maxmemory-policy',
        'allkeys-lru',
        '--lazyfree-lazy-expire',
        'no',
      ],
    })
    const findings = await examined({ ...envOf(lab.transmitter), REDIS_URL: bad.url, CONFIRM: 'replicated:1' })
    for (const check of ['eviction', 'persistence', 'replicas']) {
      expect(about(findings, check), check).toMatchObject([{ state: 'failure', advice: expect.any(String) }])
    }
    expect(about(findings, 'lazyfree-lazy-expire')).toMatchObject([{ state: 'warning' }])
    expect(about(findings, 'stream-node-max-bytes')).toMatchObject([{ state: 'warning' }])
  })

  it('that answers before it is on disk does not fit CONFIRM=fsynced', async () => {
    const findings = await examined({ ...envOf(lab.transmitter), CONFIRM: 'fsynced' })
    expect(about(findings, 'persistence')).toMatchObject([
      { state: 'failure', found: 'CONFIRM=fsynced, but appendfsync is everysec' },
    ])
  })

  it('that is full is found out', async () => {
    await lab.redis.config('SET', 'maxmemory', '1mb')
    const findings = await examined(envOf(lab.transmitter))
    await lab.redis.config('SET', 'maxmemory', '256mb')
    expect(about(findings, 'memory')).toMatchObject([{ state: 'failure' }])
  })

  it('that does not answer is told with its reason, without its password, and the rest is left out', async () => {
    const findings = await examined({ ...envOf(lab.transmitter), REDIS_URL: 'redis://:marker@127.0.0.1:1' })
    expect(findings).toMatchObject([{ check: 'redis', state: 'failure' }])
    expect(JSON.stringify(findings)).toContain('ECONNREFUSED')
    expect(JSON.stringify(findings)).not.toContain('marker')
  })

  it('of the embedded default that does not run is not started', async () => {
    const { REDIS_URL: _, ...env } = envOf(lab.transmitter)
    const findings = await examined(env)
    expect(findings).toMatchObject([{ check: 'redis', state: 'failure', found: expect.stringContaining(empty) }])
  })
})

describe('keys', () => {
  it('that are missing, or readable by others, are found out where the internal role runs', async () => {
    const env = envOf(lab.transmitter)
    const missing = await examined({ ...env, KEYS_DIR: join(empty, 'keys') })
    expect(about(missing, 'keys')).toMatchObject([{ state: 'failure' }])
    const elsewhere = await examined({ ...env, KEYS_DIR: join(empty, 'keys') }, { roles: ['public', 'workers'] })
    expect(troubles(about(elsewhere, 'keys'))).toEqual([])
    const other = await openLab({}, ['internal'])
    for (const name of await readdir(other.transmitter.keysDir)) {
      await chmod(join(other.transmitter.keysDir, name), 0o644)
    }
    expect(about(await examined({ ...env, KEYS_DIR: other.transmitter.keysDir }), 'keys')).toMatchObject([
      { state: 'failure' },
    ])
  })

  it('that are not published, or not served where receivers look, are found out', async () => {
    const other = await openLab({}, ['public', 'internal'])
    const findings = await examined({ ...envOf(lab.transmitter), KEYS_DIR: other.transmitter.keysDir })
    expect(about(findings, 'keys: published')).toMatchObject([{ state: 'failure' }])
    const misled = await examined({ ...envOf(lab.transmitter), PUBLIC_URL: other.transmitter.publicUrl })
    expect(about(misled, 'key set')).toMatchObject([{ state: 'failure' }])
  })
})

describe('listeners and workers', () => {
  it('that are not reached are found out, unless they are said to run elsewhere', async () => {
    const env = { ...envOf(lab.transmitter), PUBLIC_LISTEN: '127.0.0.1:1', PUBLIC_URL: 'http://127.0.0.1:1' }
    const findings = await examined(env)
    expect(about(findings, 'public listener')).toMatchObject([{ state: 'failure' }])
    expect(about(findings, 'key set')).toMatchObject([{ state: 'warning' }])
    expect(troubles(await examined(env, { roles: ['internal', 'workers'] }))).toEqual([])
  })

  it('that never ran, or have not for minutes, are found out', async () => {
    const never = await openLab({ REDIS_URL: healthy.url })
    const env = { ...envOf(lab.transmitter), KEY_PREFIX: never.prefix, KEYS_DIR: never.transmitter.keysDir }
    expect(about(await examined(env), 'workers')).toMatchObject([
      { state: 'failure', found: expect.stringContaining('none has ever run') },
    ])
    await lab.redis.hset(`${never.prefix}:worker-runs`, 'retention', Date.now() - 600_000)
    expect(about(await examined(env), 'workers')).toMatchObject([
      { state: 'failure', found: expect.stringContaining('10 min') },
    ])
    await lab.redis.del(`${never.prefix}:worker-runs`)
  })
})

it('jobs that may not be counted are told of, and all else is looked at', async () => {
  // Keys of jobs begin with a brace.
  await lab.redis.call('ACL', 'SETUSER', 'somebody', 'on', '>password', '+@all', '&*', `~${lab.prefix}:*`)
  const url = healthy.url.replace('redis://', 'redis://somebody:password@')
  const findings = await examined({ ...envOf(lab.transmitter), REDIS_URL: url })
  expect(about(findings, 'workers: queues').map(({ state }) => state)).toEqual(['warning'])
  expect(about(findings, 'workers').map(({ state }) => state)).toEqual(['warning', 'ok'])
  expect(about(findings, 'receivers')).toHaveLength(1)
})

describe('receivers', () => {
  it('that do not poll, are late, full or have dead letters are named; paused ones are left in peace', async () => {
    const { transmitter, feed: add, prefix } = await openLab({ REDIS_URL: healthy.url })
    const never = await add({ settings: { backlogMax: 2 } })
    await never.publishMany(2)
    const paused = await add({ status: 'paused' })
    await paused.publishMany(1)
    const late = await add({ settings: { sloMs: 1 } })
    await late.publishMany(2)
    const [first] = (await late.pollNow({ maxEvents: 1 })).jtis
    await late.report([first as string])
    const findings = await examined({ ...envOf(lab.transmitter), KEY_PREFIX: prefix, KEYS_DIR: transmitter.keysDir })
    const named = (check: string) =>
      about(findings, check)
        .map(({ found }) => found)
        .join()
    expect(named('silent receivers')).toContain(`${never.id} has never polled`)
    expect(named('silent receivers')).not.toContain(paused.id)
    expect(named('full backlogs')).toContain(`${never.id} is at 100 %`)
    expect(named('late receivers')).toContain(late.id)
    expect(named('dead letters')).toContain(`${late.id} has 1`)
    expect(JSON.stringify(findings)).not.toContain(paused.id)
  })
})

describe('a recount', () => {
  it('agrees with what is shown, whatever became of the SETs', async () => {
    const feed = await lab.feed({ settings: { retainAckedMs: 3_600_000, redeliverAfterMs: 3_600_000 } })
    const jtis = await feed.publishMany(450)
    const page = (await feed.pollNow({ maxEvents: 50 })).jtis
    await feed.report(page.slice(0, 5))
    await feed.ack(page.slice(5, 15))
    await feed.age(3_600_000, page.slice(20, 30))
    await feed.pollNow({ maxEvents: 0 })
    const { queued, inFlight, owedAgain, parked } = await feed.stats()
    expect(queued + inFlight + owedAgain + parked).toBe(jtis.length - 10)
    const findings = await examined(envOf(lab.transmitter), { receiver: feed.id })
    expect(findings).toMatchObject([
      {
        state: 'ok',
        found: expect.stringContaining(
          `${queued} queued, ${inFlight} in flight, ${owedAgain} owed again, ${parked} parked`,
        ),
      },
    ])
  })

  it('finds what another hand has taken away', async () => {
    const feed = await lab.feed()
    const jtis = await feed.publishMany(3)
    await feed.pollNow({ maxEvents: 2 })
    await lab.redis.hdel(feed.keys.ids, jtis[0] as string)
    const id = (await lab.redis.hget(feed.keys.ids, jtis[2] as string)) as string
    await lab.redis.xdel(feed.keys.log, id)
    const findings = await examined(envOf(lab.transmitter), { receiver: feed.id })
    const found = troubles(findings).map(finding => finding.found)
    expect(found).toContainEqual(expect.stringContaining('a pending entry has no jti'))
    expect(found).toContainEqual(expect.stringContaining('an entry of the log has no jti'))
    expect(found).toContainEqual(expect.stringContaining('a jti names an entry that is gone'))
    const { code, out } = await command(['--receiver', feed.id], envOf(lab.transmitter))
    expect(code).toBe(1)
    expect(out).toContain('failures')
  })

  it('of a receiver that does not exist is a failure', async () => {
    expect(await examined(envOf(lab.transmitter), { receiver: 'nobody' })).toMatchObject([
      { state: 'failure', found: 'no such receiver' },
    ])
  })
})

async function command(args: readonly string[], env: Record<string, string>) {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const child = spawn(process.execPath, [cli, 'doctor', ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, out }
}
