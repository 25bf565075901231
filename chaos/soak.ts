/**
 * The same load for long: memory, sockets, timers and keys must not grow. `npm run soak -- [--seconds 3600]`.
 * What is compared is the second quarter with the last: by then everything that is kept once is kept.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { endForUsage } from '../src/cli/usage.ts'
import { atLeastOne } from '../src/cli/values.ts'
import { openKeyRing } from '../src/signing/key-ring.ts'
import { Ledger } from './ledger.ts'
import { type LoadOptions, produce, type ReceiverAccount, receive } from './load.ts'
import { Place } from './processes.ts'
import { ReplicatedRedis } from './replicated.ts'

const { seconds } = new Command('soak')
  .description('The same load for long: memory, sockets, timers and keys must not grow.')
  .option('--seconds <n>', 'how long', atLeastOne, 60)
  .showHelpAfterError()
  .exitOverride(endForUsage)
  .parse()
  .opts<{ seconds: number }>()
const RECEIVERS = 20
const PRODUCERS = 4
const ADMIN_TOKEN = 'sst_soak_administrator'
/** What may be added to a measure over the run, in its own unit, on top of a tenth of it. */
const SLACK: Readonly<Record<string, number>> = {
  'heap, MiB': 16,
  'resident, MiB': 48,
  'open files': 10,
  timers: 10,
  sockets: 10,
  'Redis keys': 10,
  'Redis clients': 3,
  'Redis memory, MiB': 4,
}

const directory = await mkdtemp(join(tmpdir(), 'setstream-soak-'))
await openKeyRing({ dir: join(directory, 'keys'), alg: 'ES256', generate: true })
const redis = await ReplicatedRedis.start(0, 'everysec')
const place = new Place('all roles', 'public,internal,workers', {
  NODE_OPTIONS: `--expose-gc --import ${new URL('./collect.ts', import.meta.url).href}`,
  REDIS_URL: redis.url,
  KEYS_DIR: join(directory, 'keys'),
  DATA_DIR: directory,
  ADMIN_TOKEN,
  POLL_WAIT_MS: '2000',
  REDELIVER_AFTER_MS: '3000',
  DEDUPE_WINDOW_MS: '5000',
  RATE_LIMIT_POLL: '0',
  PUBLIC_LISTEN: '127.0.0.1:0',
  INTERNAL_LISTEN: '127.0.0.1:0',
  OPS_LISTEN: '127.0.0.1:0',
})
const { internal } = await place.start()
const accounts = await Promise.all(Array.from({ length: RECEIVERS }, (_, i) => register(`soak-${i + 1}`)))
const ledger = new Ledger(accounts.map(({ id }) => id))
ledger.note = () => {}
const options: LoadOptions = { places: [place], ledger, adminToken: ADMIN_TOKEN, receivers: accounts, pollWaitMs: 2000 }
const state = { isFair: true, isStopped: false }
const load = [
  ...accounts.map((account, i) => receive(options, account, i, state)),
  ...Array.from({ length: PRODUCERS }, (_, i) => produce(options, `soak-${i}`, 100 + i, 20, () => state.isStopped)),
  abandon(),
  churnTokens(),
]

const samples: Record<string, number>[] = []
for (const endsAt = performance.now() + seconds * 1000; performance.now() < endsAt; ) {
  await delay(Math.max(500, (seconds * 1000) / 200))
  samples.push(await measure())
}
state.isStopped = true
await Promise.all(load)
const code = await place.terminate()
const faults = report()
if (code !== 0) faults.push(`SIGTERM ended with ${code}`)
if (ledger.violations.length > 0) faults.push(JSON.stringify(ledger.violations[0]))
await redis.close()
await rm(directory, { recursive: true, force: true })
for (const fault of faults) console.log(`GROWS ${fault}`)
console.log(faults.length === 0 ? 'soak: passed' : 'soak: FAILED')
process.exit(faults.length === 0 ? 0 : 1)

async function register(id: string): Promise<ReceiverAccount> {
  const audience = `https://${id}.example`
  await admin('POST', '/v1/receivers', { id, audience })
  const { token } = await admin('POST', '/v1/tokens', { scope: 'poll', receiver: id })
  return { id, audience, token: token as string }
}

async function admin(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(internal + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
  return text === '' ? {} : JSON.parse(text)
}

/** Receivers that hang up while their poll is held. */
async function abandon(): Promise<void> {
  while (!state.isStopped) {
    const { id, token } = accounts[Math.floor(Math.random() * accounts.length)] as ReceiverAccount
    await fetch(`${place.urls?.public}/receivers/${id}/poll`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"maxEvents":0}',
      signal: AbortSignal.timeout(30),
    }).catch(() => {})
  }
}

async function churnTokens(): Promise<void> {
  while (!state.isStopped) {
    const { tokenId } = await admin('POST', '/v1/tokens', { scope: 'read' })
    await admin('DELETE', `/v1/tokens/${tokenId}`)
    await delay(200)
  }
}

async function measure(): Promise<Record<string, number>> {
  const text = await (await fetch(`${place.urls?.ops}/metrics`)).text()
  const value = (pattern: string) => Number(new RegExp(`^${pattern} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  const info = await redis.redis.info()
  const fact = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const mebibyte = 1024 * 1024
  return {
    'heap, MiB': value('nodejs_heap_size_used_bytes') / mebibyte,
    'resident, MiB': value('process_resident_memory_bytes') / mebibyte,
    'open files': value('process_open_fds'),
    timers: value('nodejs_active_resources\\{type="Timeout"\\}'),
    sockets: value('nodejs_active_resources\\{type="TCPSocketWrap"\\}'),
    'Redis keys': await redis.redis.dbsize(),
    'Redis clients': fact('connected_clients'),
    'Redis memory, MiB': fact('used_memory') / mebibyte,
  }
}

/** @returns what grows. */
function report(): string[] {
  const quarter = Math.floor(samples.length / 4)
  const early = samples.slice(quarter, 2 * quarter)
  const late = samples.slice(3 * quarter)
  const faults: string[] = []
  console.log(
    `soak: ${seconds} s, ${ledger.counts.confirmed} SETs confirmed, ${ledger.counts.acknowledged} acknowledged`,
  )
  for (const [name, slack] of Object.entries(SLACK)) {
    // The least of a quarter: what is left once garbage was collected (collect.ts).
    const [from, to] = [early, late].map(part => Math.min(...part.map(sample => sample[name] as number))) as [
      number,
      number,
    ]
    console.log(`  ${name.padEnd(20)}${from.toFixed(1).padStart(10)} → ${to.toFixed(1).padStart(8)}`)
    if (to > from * 1.1 + slack) faults.push(`${name}: ${from.toFixed(1)} → ${to.toFixed(1)}`)
  }
  return faults
}
