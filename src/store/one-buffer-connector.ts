/**
 * Connects to one server and reads from it into one buffer, over and over. Node makes a new one of 64 kB for each read
 * otherwise; a busy transmitter then has so much memory outside of its heap to give back that the collector hardly rests.
 * What listens to `data` has to copy what it keeps.
 */
import { createConnection } from 'node:net'
import { AbstractConnector, type RedisOptions } from 'ioredis'

/** Redis writes no more at a time to one client. */
const READ_BYTES = 65_536

export class OneBufferConnector extends AbstractConnector {
  readonly #address: { path: string } | { host: string; port: number; family?: number }

  /** @param options those of ioredis, which says nothing of their type here. */
  constructor(options: unknown) {
    const { path, host = 'localhost', port = 6379, family, disconnectTimeout = 2000 } = options as RedisOptions
    super(disconnectTimeout)
    this.#address = path ? { path } : { host, port, ...(family === undefined ? {} : { family }) }
  }

  override async connect(): ReturnType<AbstractConnector['connect']> {
    this.connecting = true
    const socket = createConnection({
      ...this.#address,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          socket.emit('data', (buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
    socket.once('error', error => {
      this.firstError = error
    })
    this.stream = socket
    return socket
  }
}
