/** The registry's caches: what is known without a look-up is never less than what was heard of. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Epoch } from '../../src/store/epoch.ts'
import { keysFor } from '../../src/store/keys.ts'
import { ReceiverStore } from '../../src/store/receiver-store.ts'
import { Registry } from '../../src/store/registry.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { TokenStore } from '../../src/store/token-store.ts'
import { connectForRequests, testPrefix } from '../support/redis.ts'

const TYPE = 'https://events.example/thing'
const HOUR_MS = 3_600_000

const redis = connectForRequests()
/** Stands still, so that no pause makes what was read too old. */
let clockMs = 0
beforeEach(() => {
  clockMs = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => clockMs)
})
afterEach(() => vi.restoreAllMocks())

/** Two processes with the same registry, of which neither reads by itself. */
function registries() {
  const keys = keysFor(testPrefix())
  const scripts = scriptsOn(redis)
  const receivers = new ReceiverStore(redis, scripts, keys)
  const open = () => new Registry(receivers, new TokenStore(redis, scripts, keys), new Epoch(redis, keys))
  const [here, there] = [open(), open()]
  const create = async (id: string, by = here) => {
    await receivers.create({ id, audience: `https://${id}.example/` }, Date.now())
    await by.tell({ kind: 'receiver', id })
  }
  return { here, there, receivers, create, keys }
}

const idsOf = (receivers: readonly { id: string }[] | undefined) => receivers?.map(({ id }) => id).sort()
describe('the subscribers that a registry knows at once', () => {
  it('are none before they were read, and then all', async () => {
    const { here, create } = registries()
    expect(here.knownSubscribers([TYPE])).toBeUndefined()
    await create('r1')
    expect(here.knownSubscribers([TYPE])).toBeUndefined()
    expect(idsOf(await here.subscribers([TYPE]))).toEqual(['r1'])
    expect(idsOf(here.knownSubscribers([TYPE]))).toEqual(['r1'])
  })

  it('have to be asked for as soon as a change was heard of, until it was read', async () => {
    const { here, there, receivers, create } = registries()
    await create('r1')
    await Promise.all([here.subscribers([TYPE]), there.subscribers([TYPE])])
    await create('r2')
    expect(here.knownSubscribers([TYPE])).toBeUndefined()
    expect(idsOf(there.knownSubscribers([TYPE]))).toEqual(['r1'])
    await there.catchUp()
    expect(there.knownSubscribers([TYPE])).toBeUndefined()
    const read = Promise.withResolvers<void>()
    const getReadable = receivers.getReadable.bind(receivers)
    vi.spyOn(receivers, 'getReadable').mockImplementation(async id => {
      await read.promise
      return getReadable(id)
    })
    const asked = there.subscribers([TYPE])
    await there.catchUp()
    expect(there.knownSubscribers([TYPE])).toBeUndefined()
    read.resolve()
    expect(idsOf(await asked)).toEqual(['r1', 'r2'])
    expect(idsOf(there.knownSubscribers([TYPE]))).toEqual(['r1', 'r2'])
  })

  it('have to be asked for when the changes were not read for a second', async () => {
    const { here, create } = registries()
    await create('r1')
    await here.subscribers([TYPE])
    await here.receiver('r1')
    expect(here.knownReceiver('r1')?.id).toBe('r1')
    clockMs += 1001
    expect(here.knownSubscribers([TYPE])).toBeUndefined()
    expect(here.knownReceiver('r1')).toBeUndefined()
    expect(idsOf(await here.subscribers([TYPE]))).toEqual(['r1'])
    expect(idsOf(here.knownSubscribers([TYPE]))).toEqual(['r1'])
  })

  it('are read again after an hour, in which a change was lost with the process that made it', async () => {
    const { here, receivers, create } = registries()
    await create('r1')
    await here.subscribers([TYPE])
    await receivers.create({ id: 'untold', audience: 'https://untold.example/' }, Date.now())
    clockMs += HOUR_MS + 1
    await here.catchUp()
    expect(here.knownSubscribers([TYPE])).toBeUndefined()
    expect(idsOf(await here.subscribers([TYPE]))).toEqual(['r1'])
    await vi.waitFor(() => expect(idsOf(here.knownSubscribers([TYPE]))).toEqual(['r1', 'untold']))
  })
})

describe('a registry that fell behind', () => {
  it.each([
    [999, 'follows changes one by one', ['r1']],
    [1000, 'reads all receivers again', ['r1', 'untold']],
  ])('by %i changes %s', async (changes, _what, found) => {
    const { here, receivers, create, keys } = registries()
    await create('r1')
    await here.subscribers([TYPE])
    // Found only by who reads all.
    await receivers.create({ id: 'untold', audience: 'https://untold.example/' }, Date.now())
    const tell = (i: number) => redis.xadd(keys.epoch, '*', 'kind', 'token', 'id', `t${i}`)
    await Promise.all(Array.from({ length: changes }, (_, i) => tell(i)))
    await here.catchUp()
    expect(idsOf(await here.subscribers([TYPE]))).toEqual(found)
    const version = vi.spyOn(redis, 'xrevrange')
    await here.catchUp()
    expect(version).not.toHaveBeenCalled()
  })
})

describe('a receiver that a registry knows at once', () => {
  it('is one that was looked up, until a change of it was heard of', async () => {
    const { here, there, create } = registries()
    await create('r1')
    expect(here.knownReceiver('r1')).toBeUndefined()
    expect((await here.receiver('r1'))?.id).toBe('r1')
    expect(here.knownReceiver('r1')?.id).toBe('r1')
    await there.tell({ kind: 'receiver', id: 'r1' })
    expect(here.knownReceiver('r1')?.id).toBe('r1')
    await here.catchUp()
    expect(here.knownReceiver('r1')).toBeUndefined()
  })
})
