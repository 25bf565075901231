/**
 * Fills a receiver's log with SETs that are in flight, straight in Redis: a million through the front door would take
 * minutes. What is written is what append.lua and poll.lua would have left, an hour ago.
 */
import type { Redis } from 'ioredis'
import { CONSUMER, GROUP, type ReceiverKeys } from '../../src/store/keys.ts'

/** Short, since only the numbers count; of the alphabet of tokens. */
const TOKEN = 'eyJ0eXAiOiJzZWNldmVudCtqd3QifQ.e30.c2ln'
const STEP = 10_000
const PER_MS = 100

const APPEND = `
local log, ids, ms, first, count, token = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for i = 0, count - 1 do
  local n = first + i
  local seq = (n % ${PER_MS}) * 4194304 + #token * 2
  local id = string.format('%.0f-%.0f', ms + math.floor(n / ${PER_MS}), seq)
  redis.call('XADD', log, id, 'jti', 'p' .. n, 'set', token, 'digest', '')
  redis.call('HSET', ids, 'p' .. n, id)
end`

const DELIVER = `
local log, count, idle = KEYS[1], tonumber(ARGV[1]), ARGV[2]
for from = 1, count, 500 do
  local answer = redis.call('XREADGROUP', 'GROUP', '${GROUP}', '${CONSUMER.inflight}', 'COUNT', 500, 'STREAMS', log, '>')
  if not answer then return end
  local ids = {}
  for i, entry in ipairs(answer[1][2]) do ids[i] = entry[1] end
  ids[#ids + 1] = 'IDLE'
  ids[#ids + 1] = idle
  ids[#ids + 1] = 'JUSTID'
  redis.call('XCLAIM', log, '${GROUP}', '${CONSUMER.inflight}', 0, unpack(ids))
end`

/** Jtis are `p0`, `p1` and so on. @param idleMs how long they have been in flight. */
export async function fillPending(redis: Redis, keys: ReceiverKeys, count: number, idleMs: number): Promise<void> {
  const [seconds] = await redis.time()
  const ms = Number(seconds) * 1000 - 3_600_000
  for (let first = 0; first < count; first += STEP) {
    const part = Math.min(STEP, count - first)
    await redis.eval(APPEND, 2, keys.log, keys.ids, ms, first, part, TOKEN)
    await redis.eval(DELIVER, 1, keys.log, part, idleMs)
  }
  await redis.hset(keys.counts, {
    appended: count,
    delivered: count,
    bytes: count * TOKEN.length,
    setMax: TOKEN.length,
    lastMs: ms + Math.floor((count - 1) / PER_MS),
    lastN: (count - 1) % PER_MS,
  })
}

const AGAIN = `
local listed = redis.call('XPENDING', KEYS[1], '${GROUP}', '-', '+', 500, '${CONSUMER.due}')
local ids = {}
for i, pending in ipairs(listed) do ids[i] = pending[1] end
if #ids == 0 then return 0 end
local n = #ids
ids[n + 1], ids[n + 2], ids[n + 3] = 'IDLE', ARGV[1], 'JUSTID'
redis.call('XCLAIM', KEYS[1], '${GROUP}', '${CONSUMER.inflight}', 0, unpack(ids))
return n`

/** What is owed again is in flight again, for `idleMs` already. */
export async function handOutAgain(redis: Redis, keys: ReceiverKeys, idleMs: number): Promise<void> {
  while ((await redis.eval(AGAIN, 1, keys.log, idleMs)) !== 0);
}

/** How many are pending in each state. */
export async function pendingCounts(redis: Redis, keys: ReceiverKeys): Promise<Record<string, number>> {
  const summary = (await redis.xpending(keys.log, GROUP)) as [number, string, string, [string, string][] | null]
  return {
    inflight: 0,
    due: 0,
    parked: 0,
    ...Object.fromEntries((summary[3] ?? []).map(([name, n]) => [name, Number(n)])),
  }
}
