/**
 * Many faults at random while SETs are published, fetched and acknowledged, and then a reckoning: what was confirmed was
 * delivered or is parked, and nothing came after its acknowledgement. `npm run chaos -- --help` says how it is called.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { endForUsage } from '../src/cli/usage.ts'
import { atLeastOne } from '../src/cli/values.ts'
import { openKeyRing } from '../src/signing/key-ring.ts'
import { keysFor } from '../src/store/keys.ts'
import { ClusteredRedis } from './clustered.ts'
import { type ChaosRedis, FAULTS, type FaultName, isOfProcesses, makeSchedule, type World } from './faults.ts'
import { Ledger } from './ledger.ts'
import { type LoadOptions, produce, type ReceiverAccount, receive } from './load.ts'
import { Place } from './processes.ts'
import { reckon } from './reckoning.ts'
import { ReplicatedRedis } from './replicated.ts'

interface Options {
  seconds: number
  seed: number
  confirm: string
  fsync: 'always' | 'everysec'
  kind: 'replicated' | 'cluster'
  faults: FaultName[]
  expectLoss?: true
}

const values = new Command('chaos')
  .description('Many faults at random while SETs are published, fetched and acknowledged, and then a reckoning.')
  .option('--seconds <n>', 'how long there are faults', atLeastOne, 60)
  .option('--seed <n>', 'repeats the faults of a run', atLeastOne, 1 + Math.floor(Math.random() * 1e9))
  .addOption(
    new Option('--kind <kind>', 'one master with two replicas behind a network, or three with one each')
      .choices(['replicated', 'cluster'])
      .default('replicated'),
  )
  .option('--confirm <level>', 'CONFIRM: replicated:N, fsynced or written', 'replicated:1')
  .addOption(new Option('--fsync <policy>', 'of every Redis').choices(['always', 'everysec']).default('always'))
  .addOption(new Option('--faults <kind...>', 'of these kinds only').choices(Object.keys(FAULTS)).default([], 'all'))
  .option('--expect-loss', 'to measure what a weaker CONFIRM loses: losses are counted, and no failure')
  .showHelpAfterError()
  .exitOverride(endForUsage)
  .parse()
  .opts<Options>()
const { seconds, seed, fsync } = values
const RECEIVERS = 6
const PRODUCERS = 4
const PUBLISH_EVERY_MS = 40
const POLL_WAIT_MS = 5000
const REDELIVER_AFTER_MS = 3000
const ADMIN_TOKEN = 'sst_chaos_administrator'
const PREFIX = 'chaos'
const HEALING_MS = 120_000

const isCluster = values.kind === 'cluster'
const hasReplicas = values.confirm !== 'fsynced'
const schedule = makeSchedule(seed, { seconds, isCluster, hasReplicas, kinds: values.faults })
console.log(
  `chaos: ${seconds} s, seed ${seed}, ${values.kind}, CONFIRM=${values.confirm}, appendfsync ${fsync}, ${schedule.length} faults`,
)
console.log('schedule:')
for (const { atMs, fault, which, howLong } of schedule) {
  console.log(
    `  ${(atMs / 1000).toFixed(1).padStart(7)} s  ${fault.padEnd(20)} ${which.toFixed(3)} ${howLong.toFixed(3)}`,
  )
}

const receiverIds = Array.from({ length: RECEIVERS }, (_, i) => `chaos-${i + 1}`)
const directory = await mkdtemp(join(tmpdir(), 'setstream-chaos-'))
const keysDir = join(directory, 'keys')
await openKeyRing({ dir: keysDir, alg: 'ES256', generate: true })
const redis: ChaosRedis = isCluster
  ? await ClusteredRedis.start(
      fsync,
      receiverIds.map(id => keysFor(PREFIX).of(id).log),
    )
  : await ReplicatedRedis.start(2, fsync)
const env: Record<string, string> = {
  REDIS_URL: redis.url,
  KEY_PREFIX: PREFIX,
  KEYS_DIR: keysDir,
  DATA_DIR: directory,
  ADMIN_TOKEN,
  CONFIRM: values.confirm,
  POLL_WAIT_MS: String(POLL_WAIT_MS),
  REDELIVER_AFTER_MS: String(REDELIVER_AFTER_MS),
  MAX_ATTEMPTS: '0',
  RATE_LIMIT_POLL: '0',
  RATE_LIMIT_ANONYMOUS: '0',
  SHUTDOWN_GRACE_MS: '8000',
  PUBLIC_LISTEN: '127.0.0.1:0',
  INTERNAL_LISTEN: '127.0.0.1:0',
  OPS_LISTEN: '127.0.0.1:0',
}
const transmitters = [1, 2, 3].map(n => new Place(`transmitter-${n}`, 'public,internal', env))
const workers = [1, 2].map(n => new Place(`worker-${n}`, 'workers', env))
await Promise.all([...transmitters, ...workers].map(place => place.start()))

const accounts = await Promise.all(receiverIds.map(register))
const ledger = new Ledger(accounts.map(({ id }) => id))
const options: LoadOptions = {
  places: transmitters,
  ledger,
  adminToken: ADMIN_TOKEN,
  receivers: accounts,
  pollWaitMs: POLL_WAIT_MS,
}
const state = { isPublishing: true, isFair: false, isStopped: false }
const receivers = accounts.map((account, i) => receive(options, account, seed + 1000 + i, state))
const producers = Array.from({ length: PRODUCERS }, (_, i) =>
  produce(options, `producer-${i}-${seed}`, seed + 2000 + i, PUBLISH_EVERY_MS, () => !state.isPublishing),
)

const world: World = {
  redis,
  transmitters,
  workers,
  violated: (what, detail) => ledger.violated(what, '', undefined, detail),
}
const happened = new Map<FaultName, number>()
await runFaults()
state.isPublishing = false
await heal()
state.isFair = true
await Promise.all(producers)
const problems = await reckon({ options, redis: redis.redis, prefix: PREFIX, accounts, withinMs: HEALING_MS })
state.isStopped = true
await Promise.all(receivers)

const codes = await Promise.all([...transmitters, ...workers].map(place => place.terminate()))
for (const code of codes) if (code !== 0) ledger.violated('SIGTERM did not end with 0', '', undefined, String(code))
const { failures, lost } = report(problems)
if (failures > 0) await keepHistories()
await redis.close()
await rm(directory, { recursive: true, force: true })
process.exit(failures > 0 || (lost > 0 && values.expectLoss !== true) ? 1 : 0)

async function register(id: string): Promise<ReceiverAccount> {
  const audience = `https://${id}.example`
  await admin('/v1/receivers', { id, audience })
  const { token } = await admin('/v1/tokens', { scope: 'poll', receiver: id })
  return { id, audience, token: token as string }
}

async function admin(path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${transmitters[0]?.urls?.internal}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Record<string, unknown>
}

async function runFaults(): Promise<void> {
  const startedAt = performance.now()
  const beside: Promise<unknown>[] = []
  let ofRedis: Promise<unknown> = Promise.resolve()
  for (const { atMs, fault, which, howLong } of schedule) {
    await delay(Math.max(0, atMs - (performance.now() - startedAt)))
    ledger.note(`fault ${fault} ${which} ${howLong}`)
    happened.set(fault, (happened.get(fault) ?? 0) + 1)
    const run = () =>
      FAULTS[fault]
        .run(world, which, howLong)
        .catch((error: Error) =>
          ledger.violated('a fault could not be made or healed', '', undefined, `${fault}: ${error.message}`),
        )
    if (isOfProcesses(fault)) beside.push(run())
    else {
      // One after another: a second fault of Redis would undo what makes the first survivable.
      await ofRedis
      ofRedis = run()
    }
  }
  await Promise.all([...beside, ofRedis])
  await delay(Math.max(0, seconds * 1000 - (performance.now() - startedAt)))
}

/** Everything runs again. */
async function heal(): Promise<void> {
  ledger.note('healing')
  redis.network?.setSilent(false)
  if (redis.network !== undefined) redis.network.delayMs = 0
  for (const place of [...transmitters, ...workers]) {
    place.signal('SIGCONT')
    if (!place.isRunning) await place.start()
  }
  await redis.untilWhole()
}

function report(problems: Awaited<ReturnType<typeof reckon>>): { failures: number; lost: number } {
  const { counts, violations } = ledger
  const lines: [string, number | string][] = [
    ['confirmed', counts.confirmed],
    ['delivered', counts.deliveries],
    ['duplicate deliveries', counts.duplicates],
    ['acknowledged', counts.acknowledged],
    ['reported and parked', counts.reported],
    ['lost', problems.lost.length],
    ['violations', violations.length],
    ['other problems', problems.others.length],
    ['polls', counts.polls],
    ['polls that failed', counts.failedPolls],
    ['polls given up by the receiver', counts.abandonedPolls],
    ['publish calls that failed', counts.refusedPublishes],
  ]
  console.log('\nledger:')
  for (const [what, count] of lines) console.log(`  ${what.padEnd(32)}${String(count).padStart(8)}`)
  console.log('faults:')
  for (const [fault, count] of [...happened].toSorted(([a], [b]) => a.localeCompare(b))) {
    console.log(`  ${fault.padEnd(32)}${String(count).padStart(8)}`)
  }
  for (const { receiver, jti } of problems.lost.slice(0, 20)) console.log(`LOST ${receiver} ${jti}`)
  for (const violation of violations.slice(0, 20)) console.log(`VIOLATION ${JSON.stringify(violation)}`)
  for (const other of problems.others.slice(0, 20)) console.log(`PROBLEM ${other}`)
  const failures = (values.expectLoss ? 0 : violations.length + problems.lost.length) + problems.others.length
  console.log(failures === 0 ? `\nchaos: passed (seed ${seed})` : `\nchaos: FAILED (seed ${seed})`)
  return { failures, lost: problems.lost.length }
}

async function keepHistories(): Promise<void> {
  const folder = join('artefacts', `chaos-${seed}`)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'history.log'), ledger.events.join('\n'))
  for (const { name, lines } of [...transmitters, ...workers])
    await writeFile(join(folder, `${name}.log`), lines.join('\n'))
  console.log(`histories: ${folder}`)
}
