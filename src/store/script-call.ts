/**
 * One call of a script over a connection for requests. ioredis queues it, sends it again after a broken connection and
 * answers it as any command of its own, which it is not: its own costs several promises, a timer and a dozen look-ups,
 * together a tenth of what a poll costs this process. What ioredis asks of a command is `QueuedCommand`.
 */
import { createHash } from 'node:crypto'
import type { Command } from 'ioredis'
import { failureOf } from './failures.ts'

export type ScriptArgument = string | number

/** A script as it is sent: by the digest that Redis knows it by, or whole when Redis has forgotten it. */
export interface ScriptText {
  readonly byDigest: string
  readonly whole: string
}

export interface ScriptCallEvents {
  /** Redis does not know the script: to be sent once more, whole if that is set. */
  forgotten(call: ScriptCall): void
  /** It is answered, or given up. */
  settled(call: ScriptCall): void
}

/** What ioredis 6 reads of a command and calls on it, from its queues to its answer. */
type QueuedCommand = Pick<
  Command,
  | 'name'
  | 'args'
  | 'inTransaction'
  | 'isTraced'
  | 'promise'
  | 'resolve'
  | 'reject'
  | 'toWritable'
  | 'setReplyContext'
  | 'setTimeout'
  | 'setBlockingTimeout'
  | 'extractBlockingTimeout'
>

const NONE: never[] = []
/** What stands in front of a word of so many bytes: most are short. */
const AHEAD = Array.from({ length: 128 }, (_, bytes) => `$${bytes}\r\n`)

export class ScriptCall implements QueuedCommand {
  readonly promise: Promise<unknown>
  readonly deadlineMs: number
  /** Neither answered nor given up. */
  isOpen = true
  /** Sent with the text of the script. */
  isWhole = false
  /** What is only ASCII is written faster when that is said. */
  isAscii = true
  readonly script: ScriptText
  #isRefused = false
  /** How many words the command has, and those behind the script. */
  readonly #count: number
  readonly #behind: string
  readonly #on: ScriptCallEvents
  /** Told an answer that came when the call had been given up. */
  readonly #onLate: ((reply: unknown) => void) | undefined
  #fulfil: ((reply: unknown) => void) | undefined
  #fail: ((error: unknown) => void) | undefined

  constructor(
    script: ScriptText,
    keys: readonly string[],
    args: readonly ScriptArgument[],
    deadlineMs: number,
    on: ScriptCallEvents,
    onLate?: (reply: unknown) => void,
  ) {
    this.script = script
    this.#onLate = onLate
    this.deadlineMs = deadlineMs
    this.#on = on
    this.#count = 3 + keys.length + args.length
    let text = ascii(String(keys.length))
    for (let i = 0; i < keys.length; i++) text += this.#word(keys[i]!)
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!
      text += typeof arg === 'number' ? ascii(String(arg)) : this.#word(arg)
    }
    this.#behind = text
    this.promise = new Promise((resolve, reject) => {
      this.#fulfil = resolve
      this.#fail = reject
    })
  }

  get name(): string {
    return this.isWhole ? 'eval' : 'evalsha'
  }

  /** Only quoted in errors, where what was sent has no business. */
  get args(): never[] {
    return NONE
  }

  get inTransaction(): boolean {
    return false
  }

  get isTraced(): boolean {
    return true
  }

  toWritable(): string {
    const { whole, byDigest } = this.script
    return `*${this.#count}\r\n${this.isWhole ? whole : byDigest}${this.#behind}`
  }

  resolve(reply: unknown): Promise<unknown> {
    if (!this.isOpen) this.#onLate?.(textIn(reply))
    this.#settle()
    this.#fulfil!(textIn(reply))
    return this.promise
  }

  reject(error: Error): void {
    if (this.isOpen && !this.isWhole && error.message.startsWith('NOSCRIPT')) {
      // Behind another that goes whole it is known the next time, unless that one was lost.
      this.isWhole = this.#isRefused
      this.#isRefused = true
      this.#on.forgotten(this)
      return
    }
    this.#settle()
    this.#fail!(failureOf(error))
  }

  // The connection sees to the time; answers are the same in both versions of the protocol.
  setReplyContext(): void {}
  setTimeout(): void {}
  setBlockingTimeout(): void {}
  extractBlockingTimeout(): undefined {}

  #settle(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#on.settled(this)
  }

  #word(text: string): string {
    const bytes = Buffer.byteLength(text)
    if (bytes === text.length) return ascii(text)
    this.isAscii = false
    return `$${bytes}\r\n${text}\r\n`
  }
}

export function scriptText(lua: string): ScriptText {
  const sha1 = createHash('sha1').update(lua).digest('hex')
  return { byDigest: ascii('EVALSHA') + ascii(sha1), whole: `${ascii('EVAL')}$${Buffer.byteLength(lua)}\r\n${lua}\r\n` }
}

function ascii(text: string): string {
  return `${AHEAD[text.length] ?? `$${text.length}\r\n`}${text}\r\n`
}

/** Strings come as bytes. */
function textIn(reply: unknown): unknown {
  if (reply instanceof Buffer) return reply.toString()
  if (!Array.isArray(reply)) return reply
  for (let i = 0; i < reply.length; i++) {
    const part: unknown = reply[i]
    if (typeof part === 'object') reply[i] = textIn(part)
  }
  return reply
}
