/** One call of a command of Redis over a connection for requests. Its reply has to be the same in both versions of the protocol. */
import { RequestCall, type RequestCallEvents } from './request-call.ts'

export class CommandCall extends RequestCall {
  readonly #name: string

  constructor(words: readonly [string, ...(string | number)[]], deadlineMs: number, events: RequestCallEvents) {
    super(deadlineMs, events)
    this.#name = words[0]
    this.addWords(words)
  }

  override get name(): string {
    return this.#name
  }

  override toWritable(): string {
    return `*${this.count}\r\n${this.words}`
  }
}
