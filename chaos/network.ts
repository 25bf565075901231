/** A network between transmitters and Redis that can be slow, silent, cut and half closed, and lead elsewhere. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Network {
  readonly port: number
  /** Port on loopback where new connections lead. */
  target: number
  /** Milliseconds by which every answer is late. */
  delayMs: number
  /** Nothing goes through and nobody is told, as when packets are lost. */
  setSilent(isSilent: boolean): void
  /** Breaks every connection. */
  cut(): void
  /** The server's side of every connection says that it will send nothing more, and goes on listening. */
  halfClose(): void
  readonly connections: number
  close(): Promise<void>
}

export async function startNetwork(target: number): Promise<Network> {
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let isSilent = false
  const proxy = createServer({ allowHalfOpen: true }, client => {
    const server = connect({ port: state.target, host: '127.0.0.1', allowHalfOpen: true })
    const pair = { client, server }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end).setNoDelay()
    client.on('data', chunk => server.write(chunk)).on('end', () => server.end())
    server.on('data', chunk => {
      if (state.delayMs === 0) client.write(chunk)
      // Timers of the same length fire in order.
      else setTimeout(() => client.writable && client.write(chunk), state.delayMs)
    })
    server.on('end', () => client.end())
    if (isSilent) for (const socket of [client, server]) socket.pause()
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const cut = () => {
    for (const { client } of pairs) client.resetAndDestroy()
  }
  const state: Network = {
    port: (proxy.address() as AddressInfo).port,
    target,
    delayMs: 0,
    setSilent(value) {
      isSilent = value
      for (const { client, server } of pairs) {
        for (const socket of [client, server]) value ? socket.pause() : socket.resume()
      }
    },
    cut,
    halfClose() {
      for (const { client } of pairs) client.end()
    },
    get connections() {
      return pairs.size
    },
    async close() {
      proxy.close()
      cut()
      await once(proxy, 'close')
    },
  }
  return state
}
