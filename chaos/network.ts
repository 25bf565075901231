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
    server.on(
      'data',
      inOrder(
        () => state.delayMs,
        chunk => void (client.writable && client.write(chunk)),
      ),
    )
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

/** Passes chunks on late, and in order all the same, also when the delay becomes shorter. */
function inOrder(delayMs: () => number, pass: (chunk: Buffer) => void): (chunk: Buffer) => void {
  const queue: { readonly dueAtMs: number; readonly chunk: Buffer }[] = []
  const passWhatIsDue = () => {
    while (queue[0] !== undefined && queue[0].dueAtMs <= performance.now())
      pass((queue.shift() as { chunk: Buffer }).chunk)
    if (queue[0] !== undefined) setTimeout(passWhatIsDue, Math.ceil(queue[0].dueAtMs - performance.now()))
  }
  return chunk => {
    queue.push({ dueAtMs: performance.now() + delayMs(), chunk })
    if (queue.length === 1) passWhatIsDue()
  }
}
