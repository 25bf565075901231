/**
 * The poll script with XREADGROUP behind it, in one transaction: what a poll of a busy receiver needs, without each SET
 * going through Lua, in and out, which is a quarter of what a page costs Redis. The script settles, and says `page` if the
 * read that follows is what is to be sent; else it did nothing (see poll.lua).
 */
import { GatheringRedis } from './gathering-redis.ts'
import { RawPage } from './raw-page.ts'
import type { ScriptArgument } from './script-call.ts'
import { Turns } from './turns.ts'

export interface PollAndRead {
  /** What the script answered. */
  readonly reply: readonly [word: string, ...unknown[]]
  readonly page: RawPage | undefined
  /** What was read although the script did not say `page`: to be taken back, and Redis's time after it was read. */
  readonly unasked: readonly { readonly id: string; readonly jti: string }[]
  readonly readAtMs: number
}

/** @returns undefined when nothing was done, neither settled nor read. @throws what ioredis throws */
export type PollTransaction = (
  keys: readonly string[],
  args: readonly ScriptArgument[],
  limit: number,
) => Promise<PollAndRead | undefined>

type Part = readonly [error: Error | null, value: unknown]

interface Transaction {
  setstream_poll(...args: ScriptArgument[]): Transaction
  xreadgroupBuffer(...args: ScriptArgument[]): Transaction
  exec(): Promise<readonly Part[] | null>
}

/**
 * SETs asked for on a connection before its next transaction waits. On two connections these are four milliseconds of a
 * fast Redis's work (5.5 µs a SET): one that is as far away as that still always has the next.
 */
const SETS_UNDER_WAY = 400
/** What an overloaded Redis costs at the most beyond the time-out of a command. */
const TURN_WITHIN_MS = 150

/** For connections that hand pages past the parser; @returns undefined for others. @param lua the text of poll.lua */
export function pollTransactionOn(redis: unknown, lua: string): PollTransaction | undefined {
  if (!(redis instanceof GatheringRedis)) return undefined
  redis.defineCommand('setstream_poll', { lua })
  let isAllowed: boolean | undefined
  const turns = new Turns(SETS_UNDER_WAY, TURN_WITHIN_MS)
  return async (keys, args, limit) => {
    isAllowed ??= await mayUseTransactions(redis)
    if (isAllowed !== true) return undefined
    const [log = ''] = keys
    const transaction = redis.multi() as unknown as Transaction
    transaction.setstream_poll(keys.length, ...keys, ...args)
    transaction.xreadgroupBuffer('GROUP', 'poll', 'inflight', 'COUNT', limit, 'STREAMS', log, '>')
    const parts = await turns.run(limit, async () => {
      // Refused to one before, while this one waited: sent all the same, its parts would be done one by one.
      if (isAllowed !== true) return undefined
      try {
        return await transaction.exec()
      } catch (error) {
        const texts = textsOf(error)
        // Not allowed to this user any more: what is between MULTI and EXEC is then done all the same, one by one.
        isAllowed = !texts.some(isForbidden)
        // Refused as a whole: the script alone is sent again where that helps, and says why where it does not.
        if (!isAllowed || texts[0]!.startsWith('EXECABORT')) return undefined
        throw error
      }
    })
    if (parts === undefined) return undefined
    const [script, read] = parts as readonly [Part, Part]
    if (script[0] === null && isPageReply(script[1])) {
      if (read[0] !== null) throw read[0]
      const page = read[1] === null ? undefined : RawPage.of(read[1] as Buffer, redis.pageBuffers)
      return { reply: script[1], page, unasked: [], readAtMs: 0 }
    }
    // A script that failed, as one that Redis has forgotten does, is the script alone's to report or to mend.
    const reply = (script[0] === null ? script[1] : ['again']) as readonly [string, ...unknown[]]
    const unasked = read[0] === null ? entriesOf(read[1]) : []
    const readAtMs = unasked.length === 0 ? 0 : Number(reply[1] ?? (await timeOf(redis)))
    return { reply, page: undefined, unasked, readAtMs }
  }
}

/** Asked with an empty one, which does nothing. @returns undefined while that is not known. */
async function mayUseTransactions(redis: GatheringRedis): Promise<boolean | undefined> {
  try {
    await redis.multi().exec()
    return true
  } catch (error) {
    return textsOf(error).some(isForbidden) ? false : undefined
  }
}

/** What EXEC was answered, and before it what the parts were. */
function textsOf(error: unknown): string[] {
  return [error as Failure, ...((error as Failure).previousErrors ?? [])].map(({ message }) => message)
}

function isForbidden(text: string): boolean {
  return text.startsWith('NOPERM')
}

interface Failure extends Error {
  readonly previousErrors?: readonly Error[]
}

async function timeOf(redis: GatheringRedis): Promise<number> {
  const [seconds, microseconds] = await redis.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

function isPageReply(reply: unknown): reply is readonly [string, ...unknown[]] {
  return Array.isArray(reply) && reply[0] === 'page'
}

/** XREADGROUP's answer as a client library makes it: of one stream, in either version of the protocol. */
function entriesOf(read: unknown): { id: string; jti: string }[] {
  if (!Array.isArray(read)) return []
  const entries = (read.length === 2 ? read[1] : read[0][1]) as readonly [Buffer, readonly Buffer[]][]
  return entries.map(([id, fields]) => ({ id: id.toString(), jti: fields[1]!.toString() }))
}
