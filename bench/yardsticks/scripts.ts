/** The product's own scripts without HTTP: a pipelining client that polls and acknowledges as fast as Redis answers. */
import { Redis } from 'ioredis'
import { keysFor } from '../../src/store/keys.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { SetStore } from '../../src/store/set-store.ts'
import { answerCalls } from '../harness/child.ts'
import type { Watched } from '../harness/cpu.ts'
import { fillWith } from '../harness/preload.ts'
import type { Window } from '../load/target.ts'
import { MeasuredWindow } from '../load/window.ts'

interface Input {
  readonly url: string
  readonly ids: readonly string[]
  readonly setsEach: number
  readonly connections: number
  readonly page: number
  readonly watched: Watched
}

const LIMITS = {
  redeliverAfterMs: 60_000,
  maxAttempts: 20,
  parkAfterMs: 86_400_000,
  expireAfterMs: 0,
  retainAckedMs: 0,
  dedupeWindowMs: 600_000,
}

async function drain(input: Input): Promise<Window> {
  const redis = new Redis(input.url, { enableAutoPipelining: true })
  const keys = keysFor('alone')
  const store = new SetStore(scriptsOn(redis), keys)
  for (const id of input.ids) await redis.hset(keys.of(id).receiver, 'status', 'enabled')
  await fillWith(store)(input.ids, input.setsEach)
  let sets = 0
  const window = new MeasuredWindow(input.watched)
  const poll = async (id: string) => {
    let ack: string[] = []
    for (;;) {
      const page = await store.poll(
        id,
        { ack, reports: [], limit: input.page, bytesMax: 4_194_304, idlePollsMax: 0, answeredAtOnce: true },
        LIMITS,
      )
      sets += page.sets.length
      if (page.sets.length === 0) return window.close(sets)
      ack = page.sets.map(set => set.jti)
    }
  }
  await Promise.all(Array.from({ length: input.connections }, (_, at) => poll(input.ids[at % input.ids.length]!)))
  redis.disconnect()
  return window.result
}

answerCalls({ drain })
