import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { decodeJwt } from 'jose'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ClaimsText } from '../../../src/protocol/set.ts'
import { type KeyRing, openKeyRing, type SigningAlg } from '../../../src/signing/key-ring.ts'
import { JobOffers } from '../../../src/signing/shared-jobs.ts'
import { SetSigner } from '../../../src/signing/sign-set.ts'
import { KEYS_MAX } from '../../../src/signing/thread-keys.ts'
import { verifyOwnSet } from '../../../src/signing/verify-set.ts'
import { until } from '../../support/until.ts'
import { keysDir } from './keys-dir.ts'

const source = (name: string) => JSON.stringify(new URL(`../../../src/signing/${name}.ts`, import.meta.url).href)
/** The beginning of a program, which says what it should have no trouble with. */
const A_SIGNER = `
    import { generateKeyPairSync } from 'node:crypto'
    import { SetSigner } from ${source('sign-set')}
    import { JobOffers } from ${source('shared-jobs')}
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = { kid: 'k', alg: 'ES256', key: privateKey }
    const signer = new SetSigner({ onTrouble: cause => console.log('trouble:', cause.code) })`

/** Ends it, should it go on for ever. */
const run = (flags: string[]) => promisify(execFile)(process.execPath, flags, { timeout: 10_000 })
const withThreads = it.runIf(availableParallelism() > 1)
const newRing = async (alg: SigningAlg) => openKeyRing({ dir: await keysDir(), alg, generate: true })
const payloadOf = (i: number) =>
  new ClaimsText({
    issuer: 'https://tx.example',
    audience: 'https://rx.example',
    jti: `e${i}`,
    iatSeconds: 1700000000,
    event: { events: { 'urn:example:thing': { i, text: 'Größe 🔐' } } },
    txn: undefined,
    toeRoundMs: 0,
  }).payload

const threads: Worker[] = []
const noteThread = (thread: Worker) => void threads.push(thread)
const troubles: Error[] = []
let signer: SetSigner
beforeEach(() => {
  process.on('worker', noteThread)
  signer = new SetSigner({ onTrouble: cause => troubles.push(cause) })
})
afterEach(async () => {
  vi.restoreAllMocks()
  await signer.close()
  process.off('worker', noteThread)
  threads.length = 0
  troubles.length = 0
})

async function signMany(rings: readonly KeyRing[], count: number): Promise<void> {
  const ringOf = (i: number) => rings[i % rings.length] as KeyRing
  const tokens = await Promise.all(
    Array.from({ length: count }, (_, i) => signer.signAmongMany(ringOf(i).signingKey(), payloadOf(i))),
  )
  for (const [i, token] of tokens.entries()) {
    expect(decodeJwt(token).jti).toBe(`e${i}`)
    expect(await verifyOwnSet(token, ringOf(i).publicKeys())).toBe(true)
  }
}

/** Signs until the thread takes part. */
async function startThread(rings: readonly KeyRing[]) {
  const collected = vi.spyOn(JobOffers.prototype, 'collect')
  await until('the thread takes part', async () => {
    await signMany(rings, 60)
    return collected.mock.results.some(({ value }) => value !== undefined)
  })
  return { thread: threads[0] as Worker, collected }
}

const signed = ({ mock }: Awaited<ReturnType<typeof startThread>>['collected']) =>
  mock.results.filter(({ value }) => value !== undefined).length

it('one after the other needs no thread', async () => {
  const ring = await newRing('ES256')
  for (let i = 0; i < 100; i++) await signer.sign(ring.signingKey(), payloadOf(i))
  expect(threads).toEqual([])
})

withThreads('many are signed by one thread, each with its own key, and come back as asked', async () => {
  const rings = await Promise.all([newRing('ES256'), newRing('EdDSA'), newRing('ES256')])
  const { collected } = await startThread(rings)
  collected.mockClear()
  // More than there is room for at a time.
  await signMany(rings, 1500)
  expect(signed(collected)).toBe(1500)
  expect(threads).toHaveLength(1)
})

withThreads('those of a turn are shared with the thread, and come back in the order they were asked for', async () => {
  const rings = await Promise.all([newRing('ES256'), newRing('EdDSA')])
  const { collected } = await startThread(rings)
  collected.mockClear()
  const takenBack = vi.spyOn(JobOffers.prototype, 'takeBack')
  const order: number[] = []
  const sign = async (_: unknown, i: number) => {
    const ring = rings[i % rings.length] as KeyRing
    const token = await signer.sign(ring.signingKey(), payloadOf(i))
    order.push(i)
    expect(decodeJwt(token).jti).toBe(`e${i}`)
    expect(await verifyOwnSet(token, ring.publicKeys())).toBe(true)
  }
  await until('both take part', async () => {
    order.length = 0
    await Promise.all(Array.from({ length: 60 }, sign))
    expect(order).toEqual(Array.from({ length: 60 }, (_, i) => i))
    return signed(collected) > 0 && takenBack.mock.results.some(({ value }) => value === true)
  })
  expect(threads).toHaveLength(1)
})

withThreads('several in a turn are worth a thread, and waking it: fewer are not', async () => {
  const ring = await newRing('ES256')
  const wake = vi.spyOn(JobOffers.prototype, 'wake')
  const turn = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, i) => signer.sign(ring.signingKey(), payloadOf(i))))
  for (let i = 0; i < 20; i++) await turn(4)
  expect(threads).toEqual([])
  await until('the thread is woken', async () => {
    await turn(5)
    return wake.mock.calls.length > 1
  })
  expect(threads).toHaveLength(1)
  wake.mockClear()
  for (let i = 0; i < 20; i++) await turn(4)
  expect(wake).not.toHaveBeenCalled()
})

withThreads('a thread that ended is replaced after a minute', async () => {
  const ring = await newRing('ES256')
  const { thread } = await startThread([ring])
  await thread.terminate()
  await signMany([ring], 100)
  expect(threads).toHaveLength(1)
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000)
  await signMany([ring], 100)
  expect(threads).toHaveLength(2)
  expect(troubles).toHaveLength(1)
})

withThreads('a key that cannot be sent to the thread signs without it', async () => {
  const ring = await newRing('ES256')
  const { thread, collected } = await startThread([ring])
  collected.mockClear()
  const sent = vi.spyOn(thread, 'postMessage').mockImplementation(() => {
    throw new Error('it cannot be copied')
  })
  const other = await newRing('ES256')
  await signMany([other], 100)
  const token = await signer.sign(other.signingKey(), payloadOf(0))
  expect(await verifyOwnSet(token, other.publicKeys())).toBe(true)
  expect(sent).toHaveBeenCalled()
  expect(signed(collected)).toBe(0)
})

withThreads('nothing is lost when the thread ends, and one word is said', async () => {
  const ring = await newRing('ES256')
  const { thread, collected } = await startThread([ring])
  collected.mockClear()
  collected.mockImplementationOnce(() => void thread.terminate())
  let turns = 0
  const count = () => {
    turns += 1
    turn = setImmediate(count)
  }
  let turn = setImmediate(count)
  await signMany([ring], 1000)
  clearImmediate(turn)
  expect(collected).toHaveBeenCalled()
  expect(signed(collected)).toBeLessThan(1000)
  // Others get their turn meanwhile.
  expect(turns).toBeGreaterThanOrEqual(10)
  await until('the end is told', () => troubles.length > 0)
  await signMany([ring], 100)
  expect(troubles).toHaveLength(1)
})

withThreads('what is too long for the thread, or finds no room, is signed all the same', async () => {
  const ring = await newRing('ES256')
  const { collected } = await startThread([ring])
  collected.mockClear()
  const long = JSON.stringify({ jti: 'long', text: 'ü'.repeat(4000) })
  const key = ring.signingKey()
  const asked = Array.from({ length: 1000 }, (_, i) =>
    signer.signAmongMany(key, i % 10 === 0 ? long : '{"jti":"short"}'),
  )
  const few = [signer.sign(key, long), signer.sign(key, '{"jti":"short"}')]
  const jtis = (await Promise.all([...asked, ...few])).map(token => decodeJwt(token).jti)
  expect(jtis.filter(jti => jti === 'long')).toHaveLength(101)
  expect(jtis.filter(jti => jti === 'short')).toHaveLength(901)
  expect(signed(collected)).toBe(900)
})

withThreads('a key that cannot sign is told of, and spoils no other', async () => {
  const ring = await newRing('ES256')
  await startThread([ring])
  const other = await newRing('EdDSA')
  const misfit = { ...other.signingKey(), alg: 'ES256' as const }
  const failing = Array.from({ length: 60 }, (_, i) => signer.signAmongMany(misfit, payloadOf(i)))
  failing.push(...Array.from({ length: 10 }, () => signer.sign(misfit, '{}')))
  const outcomes = Promise.allSettled(failing)
  await signMany([ring], 60)
  expect((await outcomes).every(({ status }) => status === 'rejected')).toBe(true)
  expect(troubles).toEqual([])
})

withThreads('signs with many keys, one after the other and again, and keeps the newest alone', async () => {
  const rings = await Promise.all(Array.from({ length: 2 * KEYS_MAX + 1 }, () => newRing('EdDSA')))
  const { thread, collected } = await startThread(rings.slice(0, 1))
  collected.mockClear()
  const sent = vi.spyOn(thread, 'postMessage')
  const rounds = [...rings, ...rings]
  for (const ring of rounds) await signMany([ring], 40)
  expect(signed(collected)).toBe(40 * rounds.length)
  expect(sent).toHaveBeenCalledTimes(rounds.length - 1)
  await signMany(rings.slice(-KEYS_MAX), 400)
  expect(sent).toHaveBeenCalledTimes(rounds.length - 1)
  // More than the thread keeps, all at a time: what it has forgotten is signed all the same.
  collected.mockClear()
  await signMany(rings, 400)
  expect(signed(collected)).toBeLessThan(400)
})

withThreads('goes on without a thread once it is closed', async () => {
  const ring = await newRing('ES256')
  await startThread([ring])
  await signer.close()
  await signMany([ring], 100)
  expect(troubles).toEqual([])
  expect(threads).toHaveLength(1)
})

it('leaves turns to others where there is no thread', async () => {
  const ring = await newRing('ES256')
  await signer.close()
  let turns = 0
  let isSigning = true
  const count = () => {
    turns += 1
    if (isSigning) setImmediate(count)
  }
  setImmediate(count)
  const payload = payloadOf(0)
  await Promise.all(Array.from({ length: 300 }, () => signer.signAmongMany(ring.signingKey(), payload)))
  isSigning = false
  expect(turns).toBeGreaterThanOrEqual(6)
  expect(threads).toEqual([])
})

withThreads(
  'what is asked for is signed before the process ends, and what is loaded ahead of it stays on its thread',
  async () => {
    const preload = 'data:text/javascript,console.log("loaded")'
    const program = `
    ${A_SIGNER}
    let collected = 0
    const { collect } = JobOffers.prototype
    JobOffers.prototype.collect = function (job) {
      collected += 1
      return collect.call(this, job)
    }
    const sign = (_, jti) => signer.signAmongMany(key, JSON.stringify({ jti }))
    while (collected === 0) await Promise.all(Array.from({ length: 100 }, sign))
    console.log('signed')`
    const flags = ['--import', preload, '--input-type=module', '--eval', program]
    const { stdout } = await run(flags)
    expect(stdout).toBe('loaded\nsigned\n')
  },
)

withThreads('a thread that has nothing to do keeps no process from its end', async () => {
  const program = `
    ${A_SIGNER}
    let offered = 0
    const { offer } = JobOffers.prototype
    JobOffers.prototype.offer = function (...asked) {
      offered += 1
      return offer.apply(this, asked)
    }
    while (offered === 0) await Promise.all(Array.from({ length: 10 }, () => signer.sign(key, '{}')))
    console.log('signed')`
  const { stdout } = await run(['--input-type=module', '--eval', program])
  expect(stdout).toBe('signed\n')
})

withThreads('is closed before the process ends, also when the last word of the thread comes meanwhile', async () => {
  const program = `
    ${A_SIGNER}
    const sign = (_, jti) => signer.signAmongMany(key, JSON.stringify({ jti }))
    let collected = 0
    let underWay = []
    const { collect, isUnderWay } = JobOffers.prototype
    JobOffers.prototype.collect = function (job) {
      collected += 1
      return collect.call(this, job)
    }
    while (collected === 0) await Promise.all(Array.from({ length: 40 }, sign))
    const { offer } = JobOffers.prototype
    let jobs
    JobOffers.prototype.offer = function (...asked) {
      jobs = this
      const job = offer.apply(this, asked)
      underWay.push(job)
      return job
    }
    const tokens = Array.from({ length: 40 }, sign)
    await new Promise(setImmediate)
    while (underWay.some(job => isUnderWay.call(jobs, job)));
    await signer.close()
    console.log(new Set(await Promise.all(tokens)).size)`
  const flags = ['--input-type=module', '--eval', program]
  const { stdout } = await run(flags)
  expect(stdout).toBe('40\n')
})

withThreads('goes on without a thread where the process may have none', async () => {
  const program = `
    ${A_SIGNER}
    const tokens = await Promise.all(Array.from({ length: 100 }, (_, jti) => signer.signAmongMany(key, JSON.stringify({ jti }))))
    console.log(new Set(tokens).size)`
  const flags = ['--permission', '--allow-fs-read=*', '--input-type=module', '--eval', program]
  const { stdout } = await run(flags)
  expect(stdout).toBe('trouble: ERR_ACCESS_DENIED\n100\n')
})
