/** Runs many vectors side by side, each on receivers of its own. */
import { createIssuer } from './issuer.ts'
import type { Lab } from './lab.ts'
import { type Result, runVector } from './run-vector.ts'
import type { Vector } from './vector.ts'

/** Most wait, for polls that are held and for SETs that come again; few enough that "at once" holds on two cores. */
export const AT_A_TIME = 24

/** @returns a promise for each vector, in order. */
export function runAll(vectors: readonly Vector[], lab: Lab, atATime = AT_A_TIME): Promise<Result>[] {
  const results = vectors.map(() => Promise.withResolvers<Result>())
  // Those that are held take longest and cost least: they go first.
  const order = vectors.map((_, index) => index).toSorted((a, b) => weight(vectors[b]) - weight(vectors[a]))
  const issuer = createIssuer()
  const work = async () => {
    for (let next = order.shift(); next !== undefined; next = order.shift()) {
      const vector = vectors[next]
      if (vector !== undefined) results[next]?.resolve(await runVector(vector, lab, await issuer))
    }
  }
  for (let worker = 0; worker < atATime; worker++) {
    work().catch(error => {
      for (const { reject } of results) reject(error)
    })
  }
  return results.map(({ promise }) => promise)
}

function weight(vector: Vector | undefined): number {
  return vector?.expect.timing === 'immediate' ? 0 : 1
}
