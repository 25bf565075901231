/**
 * A network between a client and a server that can fail: it loses answers after the server gave them, and leads to another
 * server from one moment to the next.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface TcpProxy {
  readonly url: string
  /** Where new connections lead. */
  target: string
  /**
   * The next answer is read from the server to its end and lost: the client's connection breaks instead.
   * @returns resolves once that has happened.
   */
  loseNextAnswer(): Promise<void>
  /** Breaks what is open, as a restart of something in between would. */
  breakConnections(): void
}

export async function tcpProxy(target: string): Promise<TcpProxy> {
  const clients = new Set<Socket>()
  let losing: PromiseWithResolvers<void> | undefined
  const proxy = createServer(client => {
    const { hostname, port } = new URL(state.target)
    const server = connect(Number(port), hostname)
    clients.add(client)
    const end = () => {
      clients.delete(client)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
    client.pipe(server)
    server.on('data', chunk => {
      if (losing === undefined) {
        client.write(chunk)
        return
      }
      // What arrives first is the head of the answer: the server has done what it was asked.
      const lost = losing
      losing = undefined
      end()
      lost.resolve()
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const breakConnections = () => {
    for (const client of clients) client.destroy()
  }
  onTestFinished(async () => {
    proxy.close()
    breakConnections()
    await once(proxy, 'close')
  })
  const state: TcpProxy = {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    target,
    loseNextAnswer() {
      losing = Promise.withResolvers<void>()
      return losing.promise
    },
    breakConnections,
  }
  return state
}
