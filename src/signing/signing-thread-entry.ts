/** What the signing thread runs: see signing-thread.ts. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { JobQueue } from './shared-jobs.ts'
import { signShort } from './short-signatures.ts'
import { keep, type ThreadKey, WORD_AFTER } from './signing-thread.ts'

const port = parentPort!
const queue = new JobQueue(workerData as SharedArrayBuffer)
const keys = new Map<number, ThreadKey>()

port.postMessage('ready')
let done = 0
for (;;) {
  const { offers } = queue
  const job = queue.doOne((key, payload) => {
    const { alg, key: secret, head } = keyOf(key)
    return signShort(alg, secret, head, payload)
  })
  if (job?.isAwaited === true) done += 1
  if (done >= WORD_AFTER || (done > 0 && job === undefined)) {
    done = 0
    port.postMessage('done')
  }
  if (job === undefined) queue.sleep(offers)
}

/** A key is sent ahead of the first job that names it. One that was forgotten since fails the job. */
function keyOf(id: number): ThreadKey {
  for (;;) {
    const known = keys.get(id)
    if (known !== undefined) return known
    const received = receiveMessageOnPort(port)
    if (received === undefined) throw new Error('a key that was not sent')
    const key = received.message as ThreadKey
    keep(keys, key.id, key)
  }
}
