/** Ports, and waiting until something answers on one. */
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Waiting for it is in vain. */
export class Failed extends Error {}

/** Asks every few milliseconds until `ready` does not fail; gives up with its last error. */
export async function until<T>(ready: () => Promise<T>, limitMs = 20_000, everyMs = 20): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    try {
      return await ready()
    } catch (error) {
      if (error instanceof Failed || performance.now() > deadline) throw error
      await pause(everyMs)
    }
  }
}
