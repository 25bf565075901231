/** What the signing thread runs: see signing-thread.ts. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { JobQueue } from './shared-jobs.ts'
import { signShort } from './short-signatures.ts'
import { keep, type ThreadKey } from './thread-keys.ts'

/** Word is sent after so many, and when there is no more. */
const WORD_AFTER = 50

const port = parentPort!
const queue = new JobQueue(workerData as SharedArrayBuffer)
const keys = new Map<number, ThreadKey>()

port.postMessage('ready')
let untold = 0
for (;;) {
  const offersSeen = queue.offers
  const outcome = queue.doOne((id, payload) => {
    const { alg, key, head } = keyOf(id)
    return signShort(alg, key, head, payload)
  })
  if (outcome?.sendsWord === true) untold += 1
  if (untold >= WORD_AFTER || (untold > 0 && outcome === undefined)) {
    untold = 0
    port.postMessage('done')
  }
  if (outcome === undefined) {
    readKeys()
    queue.sleep(offersSeen)
  }
}

/** A key is sent ahead of the first job that names it. One that was forgotten since fails the job. */
function keyOf(id: number): ThreadKey {
  if (!keys.has(id)) readKeys()
  const key = keys.get(id)
  if (key === undefined) throw new Error('a key that was not sent, or was forgotten')
  return key
}

/** All that were sent: this thread has no turns of an event loop in which they would come by themselves. */
function readKeys(): void {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (received === undefined) return
    const key = received.message as ThreadKey
    keep(keys, key.id, key)
  }
}
