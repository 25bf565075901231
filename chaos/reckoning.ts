/** After the faults: everything is delivered, every count is right, every held poll wakes, and no key is left over. */
import type { Redis } from 'ioredis'
import { keysFor } from '../src/store/keys.ts'
import { until } from '../test/support/until.ts'
import type { LoadOptions, ReceiverAccount } from './load.ts'

export interface Reckoning {
  readonly lost: readonly { receiver: string; jti: string }[]
  readonly others: readonly string[]
}

interface Stats {
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly bytes: number
}

interface Options {
  readonly options: LoadOptions
  readonly redis: Redis
  readonly prefix: string
  readonly accounts: readonly ReceiverAccount[]
  readonly withinMs: number
}

/** Held polls have to be woken within this, on a machine that does much else. */
const WAKE_MS = 3000

export async function reckon({ options, redis, prefix, accounts, withinMs }: Options): Promise<Reckoning> {
  const others: string[] = []
  const { ledger } = options
  for (const { id } of accounts) {
    await until(`${id} is drained`, () => isDrained(options, id), withinMs).catch(async error => {
      others.push(`${(error as Error).message}: ${JSON.stringify(await statsOf(options, id).catch(() => undefined))}`)
    })
  }
  const parked = new Map<string, Set<string>>()
  for (const { id } of accounts) parked.set(id, await parkedOf(options, id))
  const lost = ledger.lost(parked)
  for (const { id } of accounts) {
    others.push(...(await countsOf(options, redis, prefix, id, parked.get(id) as Set<string>)))
    for (const jti of ledger.reportedOf(id)) {
      if (!parked.get(id)?.has(jti)) others.push(`${id}: ${jti} was reported, and is not parked`)
    }
  }
  others.push(...(await wakesOf(options, accounts)))
  others.push(...(await strangeKeys(redis, prefix, accounts)))
  return { lost, others }
}

async function isDrained(options: LoadOptions, id: string): Promise<boolean> {
  const stats = await statsOf(options, id).catch(() => undefined)
  return stats !== undefined && stats.queued + stats.inFlight + stats.owedAgain === 0
}

function statsOf(options: LoadOptions, id: string): Promise<Stats> {
  return get(options, `/v1/receivers/${id}/stats`) as Promise<Stats>
}

async function parkedOf(options: LoadOptions, id: string): Promise<Set<string>> {
  const parked = new Set<string>()
  let cursor: string | undefined
  do {
    const query = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page = (await get(options, `/v1/receivers/${id}/parked?limit=1000${query}`)) as {
      items: { jti: string }[]
      next?: string
    }
    for (const { jti } of page.items) parked.add(jti)
    cursor = page.next
  } while (cursor !== undefined)
  return parked
}

/** Against the log itself. */
async function countsOf(
  options: LoadOptions,
  redis: Redis,
  prefix: string,
  id: string,
  parked: ReadonlySet<string>,
): Promise<string[]> {
  const keys = keysFor(prefix).of(id)
  const [entries, open, why, stats] = await Promise.all([
    redis.xlen(keys.log),
    redis.hlen(keys.ids),
    redis.hlen(keys.why),
    statsOf(options, id),
  ])
  const problems: string[] = []
  const expected = parked.size
  const counted = { entries, open, why, parked: stats.parked }
  if (Object.values(counted).some(count => count !== expected)) {
    problems.push(`${id}: ${expected} are parked, and Redis holds ${JSON.stringify(counted)}`)
  }
  const bytes = (await redis.xrange(keys.log, '-', '+')).reduce((sum, [, fields]) => sum + (fields[3]?.length ?? 0), 0)
  if (bytes !== stats.bytes) problems.push(`${id}: ${bytes} bytes are held, and ${stats.bytes} are counted`)
  return problems
}

/** Every receiver holds a poll by now: one more SET for each has to reach it at once. */
async function wakesOf(options: LoadOptions, accounts: readonly ReceiverAccount[]): Promise<string[]> {
  const problems: string[] = []
  const before = options.ledger.counts.acknowledged
  const startedAt = performance.now()
  for (const { id } of accounts) {
    const response = await fetch(`${internalUrl(options)}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${options.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        id: `last-${id}-${startedAt}`,
        receivers: [id],
        events: { 'https://events.example/last': {} },
      }),
    })
    if (response.status !== 202) problems.push(`the last event for ${id} was answered ${response.status}`)
  }
  await until(
    'the last SETs are acknowledged',
    () => options.ledger.counts.acknowledged >= before + accounts.length,
    options.pollWaitMs + WAKE_MS,
  ).catch(error => problems.push((error as Error).message))
  return problems
}

/** Only keys that section 6 of the design names. */
async function strangeKeys(redis: Redis, prefix: string, accounts: readonly ReceiverAccount[]): Promise<string[]> {
  const keys = keysFor(prefix)
  const known = new Set<string>(accounts.flatMap(({ id }) => Object.values(keys.of(id))))
  // Those of the whole transmitter, and what is filed under them: jobs, tokens, the processes that hold polls.
  const global = [...Object.values(keys), keys.token('')].filter(key => typeof key === 'string' && key !== prefix)
  const strange: string[] = []
  for (const key of await redis.keys('*')) {
    const isOurs = known.has(key) || global.some(name => key === name || key.startsWith(name.replace(/:?$/, ':')))
    if (!isOurs) strange.push(`a key that is none of ours: ${key}`)
  }
  return strange
}

async function get({ adminToken, ...options }: LoadOptions, path: string): Promise<unknown> {
  const response = await fetch(`${internalUrl({ adminToken, ...options })}${path}`, {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
  return response.json()
}

function internalUrl({ places }: LoadOptions): string {
  return places.find(({ urls }) => urls !== undefined)?.urls?.internal ?? ''
}
