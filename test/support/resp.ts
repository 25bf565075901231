/** Replies of Redis in bytes, as the server writes them. */

/** A list is an array, a Map a map of version 3. */
export type Reply = string | number | null | readonly Reply[] | ReadonlyMap<Reply, Reply>

export function encode(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('_\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (typeof reply === 'string') return Buffer.from(`$${Buffer.byteLength(reply)}\r\n${reply}\r\n`)
  if (reply instanceof Map) {
    return Buffer.concat([Buffer.from(`%${reply.size}\r\n`), ...[...reply].flat().map(part => encode(part as Reply))])
  }
  const parts = reply as readonly Reply[]
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...parts.map(encode)])
}

export interface LogEntry {
  readonly id: string
  readonly jti: string
  readonly set: string
  readonly digest: string
}

/** What XREADGROUP answers, in version 2 or 3 of the protocol. */
export function readGroupReply(log: string, entries: readonly LogEntry[], version: 2 | 3): Reply {
  const read = entries.map(({ id, jti, set, digest }) => [id, ['jti', jti, 'set', set, 'digest', digest]])
  return version === 3 ? new Map<Reply, Reply>([[log, read]]) : [[log, read]]
}
