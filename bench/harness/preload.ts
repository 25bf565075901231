/** Fills logs with SETs by the product's own append script: the same entries as a publish, without the signatures. */
import { Redis } from 'ioredis'
import { keysFor } from '../../src/store/keys.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { SetStore } from '../../src/store/set-store.ts'
import type { Setting } from './bench.ts'
import { fillerDigest, fillerJti, fillerSet } from './sets.ts'

export const APPEND_LIMITS = { backlogMax: 1e9, backlogBytesMax: 1e15, dedupeWindowMs: 600_000 }
const STEP = 500
const AT_ONCE = 4

export type Fill = (ids: readonly string[], setsEach: number) => Promise<void>

/** @param prefix of the keys of the transmitter whose receivers are filled. */
export function openPreload(setting: Setting, url: string, prefix: string): Fill {
  const redis = new Redis(url)
  setting.defer(() => redis.disconnect())
  return fillWith(new SetStore(scriptsOn(redis), keysFor(prefix)))
}

export function fillWith(store: SetStore): Fill {
  const set = fillerSet()
  return async (ids, setsEach) => {
    const steps = ids.flatMap(id =>
      Array.from({ length: Math.ceil(setsEach / STEP) }, (_, at) => ({
        id,
        count: Math.min(STEP, setsEach - at * STEP),
      })),
    )
    let next = 0
    const work = async () => {
      for (let at = next++; at < steps.length; at = next++) {
        const { id, count } = steps[at]!
        // Repeatable, as an event is whose producer gave it an `id`.
        const sets = Array.from({ length: count }, () => ({
          jti: fillerJti(),
          set,
          digest: fillerDigest(),
          repeatable: true,
        }))
        const results = await store.append(id, sets, APPEND_LIMITS)
        const refused = results.find(result => result !== 'queued')
        if (refused !== undefined) throw new Error(`preload of ${id}: ${refused}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }
}
