/** One call of a script over a connection for requests: by its digest, and whole where Redis has forgotten it. */
import { createHash } from 'node:crypto'
import { ascii, RequestCall } from './request-call.ts'

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
  settled(call: RequestCall): void
}

export class ScriptCall extends RequestCall {
  readonly script: ScriptText
  #isWhole = false
  #isRefused = false
  readonly #events: ScriptCallEvents

  constructor(
    script: ScriptText,
    keys: readonly string[],
    args: readonly ScriptArgument[],
    deadlineMs: number,
    events: ScriptCallEvents,
    onLate?: (reply: unknown) => void,
  ) {
    super(deadlineMs, events, onLate)
    this.script = script
    this.#events = events
    this.addWords([keys.length])
    this.addWords(keys)
    this.addWords(args)
  }

  /** Sent with the text of the script. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** The next time. */
  sendWhole(): void {
    this.#isWhole = true
    this.isAscii = false // Nobody looked at that text.
  }

  override get name(): string {
    return this.isWhole ? 'eval' : 'evalsha'
  }

  override toWritable(): string {
    const { whole, byDigest } = this.script
    return `*${2 + this.count}\r\n${this.isWhole ? whole : byDigest}${this.words}`
  }

  override reject(error: Error): void {
    if (this.isOpen && !this.isWhole && error.message.startsWith('NOSCRIPT')) {
      // Behind another that goes whole it is known the next time, unless that one was lost.
      if (this.#isRefused) this.sendWhole()
      this.#isRefused = true
      this.#events.forgotten(this)
      return
    }
    super.reject(error)
  }
}

export function scriptText(lua: string): ScriptText {
  const sha1 = createHash('sha1').update(lua).digest('hex')
  return { byDigest: ascii('EVALSHA') + ascii(sha1), whole: `${ascii('EVAL')}$${Buffer.byteLength(lua)}\r\n${lua}\r\n` }
}
