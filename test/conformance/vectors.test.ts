/** The vectors, run over HTTP against a server started for them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Lab, ownLab } from './lab.ts'
import { runAll } from './run-all.ts'
import type { Result } from './run-vector.ts'
import { readVectors, vectorFiles } from './vector.ts'

const vectors = (await Promise.all(vectorFiles.map(readVectors))).flat()

describe('conformance vectors', () => {
  let lab: Lab | undefined
  let results: Promise<Result>[] = []

  beforeAll(async () => {
    lab = await ownLab()
    // They run side by side, and each test waits for its own.
    results = runAll(vectors, lab)
  })
  afterAll(async () => {
    await Promise.allSettled(results)
    await lab?.close()
  })

  it.each(vectors.map((vector, index) => [vector.id, vector.description, index] as const))(
    '%s %s',
    { timeout: 90_000 },
    async (_id, _description, index) => {
      const { result, faults } = (await results[index]) as Result
      expect({ result, faults }).toEqual({ result: 'passed', faults: [] })
    },
  )
})
