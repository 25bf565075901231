/**
 * Loads scripts/*.lua once and gives each a function. Every change that must be atomic is one script; what several
 * share stands in scripts/lib, and is put where a script asks for it. Over a connection for requests a script is sent by
 * its digest, and whole when Redis has forgotten it (script-call.ts); over others, and in transactions, ioredis sends it
 * whole the first time.
 */
import { readFileSync } from 'node:fs'
import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import { GatheringRedis } from './gathering-redis.ts'
import { type PollTransaction, pollTransactionOn } from './poll-transaction.ts'
import { type ScriptArgument, scriptText } from './script-call.ts'
import { slotOf } from './topology.ts'

const NAMES = [
  'append',
  'count',
  'create_receiver',
  'discard',
  'expire',
  'give_back',
  'lease',
  'list',
  'locate',
  'poll',
  'publish_keys',
  'remove_receiver',
  'replay',
  'report_held',
  'requeue',
  'sweep',
  'take_back',
  'touch_token',
  'trim',
  'update_receiver',
] as const
export type ScriptName = (typeof NAMES)[number]

const folder = new URL('./scripts/', import.meta.url)
const sources = new Map(NAMES.map(name => [name, sourceOf(`${name}.lua`, new Set())]))

/** With the files that it includes, each once. The first line tells Redis how a script behaves (`#!lua flags=…`). */
function sourceOf(file: string, included: Set<string>): string {
  return readFileSync(new URL(file, folder), 'utf8').replace(/^--#include (\S+)$/gm, (_line, other: string) => {
    if (included.has(other)) return ''
    included.add(other)
    return sourceOf(other, included)
  })
}

/** @param onLate told an answer that comes when the call has timed out; the client of a cluster drops it. */
export type Script = (
  keys: readonly string[],
  args: readonly ScriptArgument[],
  onLate?: (reply: unknown) => void,
) => Promise<unknown>

export interface Scripts extends Readonly<Record<ScriptName, Script>> {
  /** Where the connections allow for it. */
  readonly pollAndRead: PollTransaction | undefined
}

/**
 * What appends SETs, hands them out and takes them back: in order for each receiver, hence on one connection for it. A poll
 * that is sent behind an append finds what that appended.
 */
const IN_ORDER: ReadonlySet<ScriptName> = new Set(['append', 'poll', 'give_back', 'take_back'])

/**
 * @param pollers connections among which receivers are divided for what has to be in order. Redis writes at most 64 KiB of
 *   what it has for a connection before it looks after the next, so that of many pages on one connection most wait.
 */
export function scriptsOn(redis: Client, pollers: readonly Client[] = [redis]): Scripts {
  const scripts: Partial<Record<ScriptName, Script>> = {}
  for (const name of NAMES) {
    scripts[name] = divided((IN_ORDER.has(name) ? pollers : [redis]).map(client => callOn(client, name)))
  }
  const poll = sources.get('poll')!
  const transactions = pollers
    .map(client => pollTransactionOn(client, poll))
    .filter(transaction => transaction !== undefined)
  const pollAndRead = transactions.length === pollers.length ? divided(transactions) : undefined
  return { ...(scripts as Record<ScriptName, Script>), pollAndRead }
}

function callOn(redis: Client, name: ScriptName): Script {
  const lua = sources.get(name)!
  if (redis instanceof GatheringRedis) {
    const text = scriptText(lua)
    return (keys, args, onLate) => redis.run(text, keys, args, onLate)
  }
  const command = `setstream_${name}`
  redis.defineCommand(command, { lua })
  const commands = redis as unknown as Record<string, (...args: ScriptArgument[]) => Promise<unknown>>
  return (keys, args) => commands[command]!(keys.length, ...keys, ...args).catch(storeFailure)
}

function divided<Rest extends readonly unknown[], Answer>(
  calls: readonly ((keys: readonly string[], ...rest: Rest) => Answer)[],
): (keys: readonly string[], ...rest: Rest) => Answer {
  const [only] = calls
  if (calls.length === 1) return only!
  return (keys, ...rest) => calls[slotOf(keys[0]!) % calls.length]!(keys, ...rest)
}
