/**
 * A connection whose commands of one turn of the event loop leave in one write. Each command of ioredis is a write of its
 * own, and with it a system call, which showed as a sixth of a poll; what many requests ask in one turn goes together here.
 */
import { type Command, Redis } from 'ioredis'

export class GatheringRedis extends Redis {
  /** The stream that is corked until the end of this turn. */
  #gathering: { uncork(): void } | undefined

  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    const own = this.stream
    if (this.#gathering === undefined && own?.writable === true) {
      own.cork()
      this.#gathering = own
      setImmediate(() => {
        this.#gathering = undefined
        own.uncork()
      })
    }
    return super.sendCommand(command, stream)
  }
}
