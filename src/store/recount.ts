/**
 * What a receiver holds, counted the slow way: every entry of its log, of its index and of its pending lists, in bounded
 * steps. Derived counts are compared with it; what does not fit together is told one by one.
 */
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import { CONSUMER, GROUP, type Keys } from './keys.ts'

export interface Recount {
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly bytes: number
  /** What does not fit together; the first of each kind, and how many there are. */
  readonly faults: readonly { readonly what: string; readonly count: number; readonly example: string }[]
}

/** Entries are copied whole, and a step is to stay far below what Redis could be missed for. */
const LOG_STEP = 200
const LIST_STEP = 1000

/** @param onProgress called with how many entries of the log were read. */
export async function recount(
  redis: Client,
  keys: Keys,
  receiver: string,
  onProgress: (done: number, total: number) => void,
): Promise<Recount> {
  const k = keys.of(receiver)
  const faults = new Faults()
  const total = await redis.xlen(k.log).catch(storeFailure)

  const jtiOf = new Map<string, string>()
  for await (const [jti, id] of hashEntries(redis, k.ids)) {
    const other = jtiOf.get(id)
    // HSCAN may tell an entry twice.
    if (other !== undefined && other !== jti) faults.add('two jtis name one entry', jti)
    jtiOf.set(id, jti)
  }
  const noted = new Set<string>()
  for await (const [jti] of hashEntries(redis, k.why)) noted.add(jti)
  const retained = new Set<string>()
  for await (const [, fields] of streamEntries(redis, k.acked)) retained.add(valueIn(fields, 'id'))

  const pending = new Map<string, string>()
  for (const consumer of Object.values(CONSUMER)) {
    for await (const id of pendingIds(redis, k.log, consumer)) pending.set(id, consumer)
  }

  let bytes = 0
  let done = 0
  const found = new Set<string>()
  for await (const [id, fields] of streamEntries(redis, k.log)) {
    onProgress(++done, total)
    const jti = jtiOf.get(id)
    if (jti === undefined) {
      if (!retained.has(id)) faults.add('an entry of the log has no jti and is not retained', id)
      continue
    }
    found.add(id)
    bytes += valueIn(fields, 'set').length
    if (valueIn(fields, 'jti') !== jti) faults.add('the index names another entry than the jti has', jti)
  }
  for (const [id, jti] of jtiOf) if (!found.has(id)) faults.add('a jti names an entry that is gone', jti)
  const counts: Record<string, number> = {}
  for (const [id, consumer] of pending) {
    const jti = jtiOf.get(id)
    if (jti === undefined) faults.add('a pending entry has no jti', id)
    else {
      counts[consumer] = (counts[consumer] ?? 0) + 1
      if (consumer === CONSUMER.parked && !noted.has(jti)) faults.add('a parked SET has no reason', jti)
      if (consumer !== CONSUMER.parked && noted.has(jti)) faults.add('a SET that is not parked has a reason', jti)
    }
  }
  return {
    queued: [...jtiOf.keys()].filter(id => !pending.has(id)).length,
    inFlight: counts[CONSUMER.inflight] ?? 0,
    owedAgain: counts[CONSUMER.due] ?? 0,
    parked: counts[CONSUMER.parked] ?? 0,
    bytes,
    faults: faults.all(),
  }
}

class Faults {
  readonly #found = new Map<string, { count: number; example: string }>()

  add(what: string, example: string): void {
    const known = this.#found.get(what)
    if (known === undefined) this.#found.set(what, { count: 1, example })
    else known.count += 1
  }

  all(): Recount['faults'] {
    return [...this.#found].map(([what, rest]) => ({ what, ...rest }))
  }
}

async function* hashEntries(redis: Client, key: string): AsyncGenerator<[field: string, value: string]> {
  let cursor = '0'
  do {
    const [next, flat] = await redis.hscan(key, cursor, 'COUNT', LIST_STEP).catch(storeFailure)
    for (let i = 0; i < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string]
    cursor = next
  } while (cursor !== '0')
}

async function* streamEntries(redis: Client, key: string): AsyncGenerator<[id: string, fields: string[]]> {
  let from = '-'
  for (;;) {
    const entries = await redis.xrange(key, from, '+', 'COUNT', LOG_STEP).catch(storeFailure)
    yield* entries
    const last = entries.at(-1)
    if (last === undefined || entries.length < LOG_STEP) return
    from = `(${last[0]}`
  }
}

async function* pendingIds(redis: Client, log: string, consumer: string): AsyncGenerator<string> {
  let from = '-'
  for (;;) {
    const listed = (await redis
      .xpending(log, GROUP, from, '+', LIST_STEP, consumer)
      .catch(error => (/^NOGROUP/.test((error as Error).message) ? [] : storeFailure(error)))) as [string][]
    for (const [id] of listed) yield id
    const last = listed.at(-1)
    if (last === undefined || listed.length < LIST_STEP) return
    from = `(${last[0]}`
  }
}

function valueIn(fields: readonly string[], name: string): string {
  const at = fields.indexOf(name)
  return at < 0 ? '' : (fields[at + 1] ?? '')
}
