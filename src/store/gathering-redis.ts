/**
 * A connection for what many requests ask at a time. A few commands of one turn of the event loop leave in one write: each
 * command of ioredis is a write of its own, and with it a system call, which showed as a sixth of a poll. No more than a
 * few, so that Redis begins while the next requests are read; a transaction leaves at once, as a page is worth a system
 * call. And pages are handed past the parser (see page-framing.ts).
 */
import { type Command, Redis, type RedisOptions } from 'ioredis'
import { OneBufferConnector } from './one-buffer-connector.ts'
import { PageBuffers } from './page-buffers.ts'
import { PageFraming } from './page-framing.ts'

/** With all of a turn in one write, Redis and this process worked in turns: a fifth less was handed out at one a page. */
const GATHERED_MAX = 4

export class GatheringRedis extends Redis {
  /** The stream that is corked until the end of this turn. */
  #gathering: Redis['stream'] | undefined
  #gathered = 0

  /** Of the pages that come over it. */
  readonly pageBuffers = new PageBuffers()

  constructor(options: RedisOptions & { replyMapping: 'legacy' }) {
    // Through Sentinels, and with TLS, ioredis connects by itself.
    const connectsItself = options.sentinels !== undefined || options.tls !== undefined
    super(connectsItself ? options : { ...options, Connector: OneBufferConnector })
    // By now ioredis listens to the new stream, and nothing can have come yet.
    this.on('connect', () => frame(this.stream, this.pageBuffers))
  }

  /** ioredis would make one of another kind, which reads into one buffer as well and does not copy what it keeps. */
  override duplicate(): never {
    throw new Error('a connection for requests is opened, not duplicated')
  }

  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    if (stream === undefined && command.inTransaction) {
      // A part of a transaction that ioredis would send again by itself, as after READONLY: outside of MULTI it must not run.
      command.reject(new Error('Command aborted due to connection close'))
      return command.promise
    }
    if (stream !== undefined) {
      // Gathered by ioredis, which writes all of a pipeline or a transaction with its last command.
      const answer = super.sendCommand(command, stream)
      if (command.name === 'exec') this.#send()
      return answer
    }
    if (this.#gathering === undefined && this.stream?.writable === true) this.#gather(this.stream)
    const answer = super.sendCommand(command)
    this.#gathered += 1
    if (this.#gathered === GATHERED_MAX) this.#send()
    return answer
  }

  #gather(stream: Redis['stream']): void {
    stream.cork()
    this.#gathering = stream
    this.#gathered = 0
    setImmediate(() => {
      this.#gathering = undefined
      stream.uncork()
    })
  }

  /** What was gathered, and gathers on. */
  #send(): void {
    this.#gathering?.uncork()
    this.#gathering?.cork()
    this.#gathered = 0
  }
}

function frame(stream: Redis['stream'], buffers: PageBuffers): void {
  if (stream.destroyed) return
  const [decode] = stream.listeners('data') // ioredis puts its parser before whatever else listens.
  if (decode === undefined) throw new Error('ioredis does not read its connections as it did')
  const framing = new PageFraming(decode as (bytes: Buffer) => void, buffers)
  stream.removeListener('data', decode as (bytes: Buffer) => void)
  stream.prependListener('data', (bytes: Buffer) => framing.write(bytes))
}
