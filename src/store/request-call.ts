/**
 * One call over a connection for requests. ioredis queues it, sends it again after a broken connection and answers it as any
 * command of its own, which it is not: its own costs several promises, a timer and a dozen look-ups, together a tenth of what
 * a poll costs this process. What ioredis asks of a command is `QueuedCommand`.
 */
import type { Command } from 'ioredis'
import { failureOf } from './failures.ts'

export interface RequestCallEvents {
  /** It is answered, or given up. */
  settled(call: RequestCall): void
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

export abstract class RequestCall implements QueuedCommand {
  readonly promise: Promise<unknown>
  readonly deadlineMs: number
  /** Neither answered nor given up. */
  isOpen = true
  /** What is only ASCII is written faster when that is said. */
  isAscii = true
  /** The words that were added, as they are sent, and how many. */
  protected words = ''
  protected count = 0
  readonly #on: RequestCallEvents
  /** Told an answer that came when the call had been given up. */
  readonly #onLate: ((reply: unknown) => void) | undefined
  #fulfil: ((reply: unknown) => void) | undefined
  #fail: ((error: unknown) => void) | undefined

  constructor(deadlineMs: number, on: RequestCallEvents, onLate?: (reply: unknown) => void) {
    this.#onLate = onLate
    this.deadlineMs = deadlineMs
    this.#on = on
    this.promise = new Promise((resolve, reject) => {
      this.#fulfil = resolve
      this.#fail = reject
    })
  }

  abstract get name(): string

  /** As it is sent, each time that it is sent. */
  abstract toWritable(): string

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

  resolve(reply: unknown): Promise<unknown> {
    if (!this.isOpen) this.#onLate?.(textIn(reply))
    this.#settle()
    this.#fulfil!(textIn(reply))
    return this.promise
  }

  reject(error: Error): void {
    this.#settle()
    this.#fail!(failureOf(error))
  }

  // The connection sees to the time; answers are the same in both versions of the protocol.
  setReplyContext(): void {}
  setTimeout(): void {}
  setBlockingTimeout(): void {}
  extractBlockingTimeout(): undefined {}

  protected addWords(words: readonly (string | number)[]): void {
    let text = this.words
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!
      text += typeof word === 'number' ? ascii(String(word)) : this.#word(word)
    }
    this.words = text
    this.count += words.length
  }

  #word(text: string): string {
    const bytes = Buffer.byteLength(text)
    if (bytes === text.length) return ascii(text)
    this.isAscii = false
    return `$${bytes}\r\n${text}\r\n`
  }

  #settle(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#on.settled(this)
  }
}

/** A word of a command, as it is sent. */
export function ascii(word: string): string {
  return `${AHEAD[word.length] ?? `$${word.length}\r\n`}${word}\r\n`
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
