/** What the signing thread runs: a job in, its signed tokens out. A fault ends it: see signing-thread.ts. */
import { parentPort } from 'node:worker_threads'
import { signShort } from './short-signatures.ts'
import type { ThreadAnswer, ThreadJob } from './signing-thread.ts'

const port = parentPort!
port.on('message', ({ id, alg, key, head, payloads }: ThreadJob) => {
  const tokens = payloads.map(payload => signShort(alg, key, head, payload))
  port.postMessage({ id, tokens } satisfies ThreadAnswer)
})
port.on('messageerror', error => {
  throw error
})
port.postMessage({ id: 0, tokens: [] } satisfies ThreadAnswer)
