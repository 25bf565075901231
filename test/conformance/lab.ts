/**
 * Hands each vector a transmitter: the shared one, or one of its own where the vector stops a process, takes Redis
 * away or needs two processes on one store. A transmitter that was given to us can do none of these.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedisProcess } from '../support/redis-process.ts'
import type { Conditions } from './condition.ts'
import { type OwnServer, SMALL_PAGE_BYTES, startOwnServer } from './own-server.ts'
import type { Transmitter } from './transmitter.ts'
import { NotRun, type Vector } from './vector.ts'

/** A transmitter and what may be done to it. */
export interface Bench {
  readonly transmitter: Transmitter
  terminate(): Promise<number | null>
  stopStore(): Promise<void>
  startStore(): Promise<void>
  /** Another process on the same store. */
  secondInstance(): Promise<Transmitter>
  close(): Promise<void>
}

export interface Lab {
  readonly shared: Transmitter
  benchFor(vector: Vector, conditions: Conditions): Promise<Bench>
  close(): Promise<void>
}

/** A transmitter that runs already. */
export function givenLab(transmitter: Transmitter): Lab {
  return {
    shared: transmitter,
    async benchFor(vector, conditions) {
      const need = needOf(vector, conditions)
      if (need !== undefined) throw new NotRun(`${need}, which a transmitter given by --url cannot be asked for`)
      return { transmitter, ...cannot, close: async () => {} }
    },
    close: async () => {},
  }
}

export async function ownLab(): Promise<Lab> {
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-conformance-'))
  const server = await startOwnServer({ dataDir }).catch(async error => {
    await rm(dataDir, { recursive: true, force: true })
    throw error
  })
  let starting: Promise<unknown> = Promise.resolve()
  return {
    shared: server.transmitter,
    async benchFor(vector, conditions) {
      if (needOf(vector, conditions) === undefined) {
        return { transmitter: server.transmitter, ...cannot, close: async () => {} }
      }
      // One after the other: several processes that start at once would delay every answer of the others.
      const bench = starting.then(() => ownBench(join(dataDir, 'keys'), conditions))
      starting = bench.catch(() => {})
      return bench
    },
    async close() {
      await server.terminate()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** @param keysDir signing keys: only the embedded default makes them up. */
async function ownBench(keysDir: string, conditions: Conditions): Promise<Bench> {
  const redis = await startRedisProcess()
  const dataDir = await mkdtemp(join(tmpdir(), 'setstream-conformance-'))
  const servers: OwnServer[] = []
  const running = new Set<OwnServer>()
  const start = async () => {
    const server = await startOwnServer({
      dataDir,
      redisUrl: redis.url,
      keysDir,
      ...(conditions.oversizedSet ? { pageBytesMax: SMALL_PAGE_BYTES } : {}),
    })
    servers.push(server)
    running.add(server)
    return server
  }
  const close = async () => {
    await Promise.all([...running].map(server => server.terminate()))
    await redis.close()
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    const first = await start()
    return {
      transmitter: first.transmitter,
      terminate() {
        running.delete(first)
        return first.terminate()
      },
      stopStore: () => redis.stop(),
      startStore: () => redis.start(),
      async secondInstance() {
        return (servers[1] ?? (await start())).transmitter
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function needOf(vector: Vector, conditions: Conditions): string | undefined {
  if (vector.given?.during?.some(({ action }) => action === 'terminateInstance')) return 'stops a process'
  if (conditions.storeDown) return 'takes the store away'
  if (conditions.secondInstance) return 'needs a second process on the same store'
  if (conditions.oversizedSet) return 'needs a small byte budget of a page'
  return undefined
}

const refuse = async (): Promise<never> => {
  throw new NotRun('this transmitter is shared')
}
const cannot = { terminate: refuse, stopStore: refuse, startStore: refuse, secondInstance: refuse }
