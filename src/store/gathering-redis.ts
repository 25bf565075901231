/**
 * A connection for what many requests ask at a time. A few calls of one turn of the event loop leave in one write: each
 * command of ioredis is a write of its own, and with it a system call, which showed as a sixth of a poll. No more than a
 * few, so that Redis begins while the next requests are read; whatever else is sent leaves at once, behind them. And pages
 * are handed past the parser (see page-framing.ts).
 */
import { type Command, Redis, type RedisOptions } from 'ioredis'
import { atTurnsEnd } from '../turn-end.ts'
import { CommandCall } from './command-call.ts'
import { OneBufferConnector } from './one-buffer-connector.ts'
import { PageBuffers } from './page-buffers.ts'
import { type CallReplies, PageFraming } from './page-framing.ts'
import { RequestCall } from './request-call.ts'
import { type ScriptArgument, ScriptCall, type ScriptText } from './script-call.ts'

/** With all of a turn in one write, Redis and this process worked in turns: a fifth less was handed out at one a page. */
const GATHERED_MAX = 4

/** What ioredis keeps to itself: it watches for silence from the first command that is not answered. */
interface Watch {
  readonly socketTimeoutTimer: NodeJS.Timeout | undefined
  setSocketTimeout(): void
}

export class GatheringRedis extends Redis {
  /** Of calls that are in ioredis' queue already, and the stream that they are to be written to. */
  #text = ''
  #encoding: 'latin1' | 'utf8' = 'latin1'
  #stream: Redis['stream'] | undefined
  #gathered = 0
  /** Calls that are not settled, in the order of their deadlines. */
  readonly #open = new Set<RequestCall>()
  #timer: NodeJS.Timeout | undefined
  readonly #timeoutMs: number
  /** Scripts whose text is on its way: others that need it are sent behind it. */
  readonly #taught = new Map<ScriptText, ScriptCall>()
  readonly #on = {
    forgotten: (call: ScriptCall) => {
      if (!this.#taught.has(call.script)) {
        call.sendWhole()
        this.#taught.set(call.script, call)
      }
      this.#send(call)
    },
    settled: (call: RequestCall) => {
      this.#open.delete(call)
      if (call instanceof ScriptCall && call.isWhole && this.#taught.get(call.script) === call) {
        this.#taught.delete(call.script)
      }
    },
  }

  /** As ioredis answers the first of its queue. */
  readonly #replies: CallReplies = {
    isFor: after => this.commandQueue.peekAt(after)?.command instanceof RequestCall,
    take: reply => void this.commandQueue.shift()?.command.resolve(reply),
  }

  /** Of the pages that come over it. */
  readonly pageBuffers = new PageBuffers()

  constructor(options: RedisOptions & { replyMapping: 'legacy'; commandTimeout: number; socketTimeout: number }) {
    // Through Sentinels, and with TLS, ioredis connects by itself.
    const connectsItself = options.sentinels !== undefined || options.tls !== undefined
    super(connectsItself ? options : { ...options, Connector: OneBufferConnector })
    this.#timeoutMs = options.commandTimeout
    // By now ioredis listens to the new stream, and nothing can have come yet.
    this.on('connect', () => frame(this.stream, this.pageBuffers, this.#replies))
  }

  /** ioredis would make one of another kind, which reads into one buffer as well and does not copy what it keeps. */
  override duplicate(): never {
    throw new Error('a connection for requests is opened, not duplicated')
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.#write() // What was asked before is still sent.
    super.disconnect(reconnect)
  }

  /**
   * @param onLate told an answer that comes after the time-out.
   * @throws what `storeFailure` throws, after the time-out of a command at the latest
   */
  run(
    script: ScriptText,
    keys: readonly string[],
    args: readonly ScriptArgument[],
    onLate?: (reply: unknown) => void,
  ): Promise<unknown> {
    return this.#begin(new ScriptCall(script, keys, args, performance.now() + this.#timeoutMs, this.#on, onLate))
  }

  /**
   * @param words of a command whose reply is the same in both versions of the protocol.
   * @throws as `run` does
   */
  ask(words: readonly [string, ...(string | number)[]]): Promise<unknown> {
    return this.#begin(new CommandCall(words, performance.now() + this.#timeoutMs, this.#on))
  }

  #begin(call: RequestCall): Promise<unknown> {
    this.#open.add(call)
    this.#timer ??= setTimeout(this.#giveUp, this.#timeoutMs).unref()
    this.#send(call)
    return call.promise
  }

  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    if (stream === undefined && command.inTransaction) {
      // A part of a transaction that ioredis would send again by itself, as after READONLY: outside of MULTI it must not run.
      command.reject(new Error('Command aborted due to connection close'))
      return command.promise
    }
    // Sent again after a broken connection: a poll that nobody waits for any more would hand out SETs to nobody.
    if (command instanceof RequestCall && !command.isOpen) return command.promise
    this.#write() // Those are ahead of it in ioredis' queue.
    return super.sendCommand(command, stream)
  }

  #send(call: RequestCall): void {
    const { stream } = this
    if (this.status !== 'ready' || stream?.writable !== true) {
      super.sendCommand(call as unknown as Command)
      return
    }
    if (this.#stream !== stream) this.#gatherFor(stream)
    this.#text += call.toWritable()
    if (!call.isAscii) this.#encoding = 'utf8'
    this.commandQueue.push({
      command: call as unknown as Command,
      stream: undefined as never,
      select: this.condition!.select,
    })
    const watch = this as unknown as Watch
    if (watch.socketTimeoutTimer === undefined) watch.setSocketTimeout()
    this.#gathered += 1
    if (this.#gathered === GATHERED_MAX) this.#write()
  }

  #gatherFor(stream: Redis['stream']): void {
    // What was meant for another stream is lost with it, and ioredis sends it again.
    this.#text = ''
    this.#encoding = 'latin1'
    this.#gathered = 0
    this.#stream = stream
    atTurnsEnd(() => {
      if (this.#stream !== stream) return
      this.#write()
      this.#stream = undefined
    })
  }

  #write(): void {
    if (this.#text === '') return
    const [text, encoding] = [this.#text, this.#encoding]
    this.#text = ''
    this.#encoding = 'latin1'
    this.#gathered = 0
    if (this.#stream?.writable === true) this.#stream.write(text, encoding)
  }

  /** What is not answered in time; its answer may still come, and is then told to who asked for that. */
  readonly #giveUp = (): void => {
    this.#timer = undefined
    const nowMs = performance.now()
    for (const call of this.#open) {
      if (call.deadlineMs > nowMs) {
        this.#timer = setTimeout(this.#giveUp, Math.ceil(call.deadlineMs - nowMs)).unref()
        return
      }
      call.reject(new Error('Command timed out'))
    }
  }
}

function frame(stream: Redis['stream'], buffers: PageBuffers, calls: CallReplies): void {
  if (stream.destroyed) return
  const [decode] = stream.listeners('data') // ioredis puts its parser before whatever else listens.
  if (decode === undefined) throw new Error('ioredis does not read its connections as it did')
  const framing = new PageFraming(decode as (bytes: Buffer) => void, buffers, calls)
  stream.removeListener('data', decode as (bytes: Buffer) => void)
  stream.prependListener('data', (bytes: Buffer) => framing.write(bytes))
}
