/** What the signing thread runs: a job in, its signed tokens out, in the same order. A fault ends it: signing-thread.ts. */
import { parentPort } from 'node:worker_threads'
import { signShort } from './short-signatures.ts'
import type { SigningJob } from './signing-thread.ts'

parentPort?.on('message', ({ alg, key, head, payloads }: SigningJob) => {
  parentPort?.postMessage(payloads.map(payload => signShort(alg, key, head, payload)))
})
