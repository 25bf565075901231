import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { fits, type Job, JobOffers, JobQueue } from '../../../src/signing/shared-jobs.ts'

/** Both sides on one thread: each step in the order of the test. */
function bothSides() {
  const offers = new JobOffers()
  return { offers, queue: new JobQueue(offers.memory) }
}
const sign = (key: number, payload: string) => `${key}.${payload}`
const encoded = (payload: string) => Buffer.from(payload).toString('base64url')
const offered = (offers: JobOffers, payload: string, sendsWord = false) => offers.offer(7, payload, sendsWord) as Job

it('does jobs from the oldest, with the key of each and the payload as UTF-8', () => {
  const { offers, queue } = bothSides()
  const jobs = ['{}', '{"text":"Größe 🔐"}', ''].map((payload, key) => offers.offer(key, payload, key === 1) as Job)
  expect(queue.doOne(sign)).toEqual({ sendsWord: false })
  expect(jobs.map(job => offers.isUnderWay(job))).toEqual([false, true, true])
  expect(queue.doOne(sign)).toEqual({ sendsWord: true })
  expect(queue.doOne(sign)).toEqual({ sendsWord: false })
  expect(queue.doOne(sign)).toBeUndefined()
  expect(jobs.map(job => offers.collect(job))).toEqual([
    `0.${encoded('{}')}`,
    `1.${encoded('{"text":"Größe 🔐"}')}`,
    '2.',
  ])
})

it('leaves to the other what was taken back, and nothing that was begun', () => {
  const { offers, queue } = bothSides()
  const [begun, back] = [offered(offers, 'a'), offered(offers, 'b')]
  // What is thrown in here is the job's failure and not the test's: looked at below.
  let isTakenBack: boolean | undefined
  queue.doOne((key, payload) => {
    isTakenBack = offers.takeBack(begun)
    return sign(key, payload)
  })
  expect(isTakenBack).toBe(false)
  expect(offers.takeBack(back)).toBe(true)
  expect(queue.doOne(sign)).toBeUndefined()
  expect(offers.takeBack(begun)).toBe(false)
  expect(offers.collectNow(begun)).toBe(`7.${encoded('a')}`)
})

it('makes room again when a job that was given up is through, and not before', () => {
  const { offers, queue } = bothSides()
  const job = offered(offers, 'a')
  const places = new Set<Job>([job])
  let collected: string | undefined = 'not asked'
  queue.doOne((key, payload) => {
    collected = offers.collectNow(job)
    for (let more = offers.offer(7, 'b', false); more !== undefined; more = offers.offer(7, 'b', false))
      places.add(more)
    return sign(key, payload)
  })
  expect(collected).toBeUndefined()
  // All but the one that was given up; that it had no room while it was signed ended the loop.
  expect(places.size).toBeGreaterThan(100)
  expect(offers.offer(7, 'c', false)).toBe(job)
  expect(offers.offer(7, 'd', false)).toBeUndefined()
  for (const place of places) expect(offers.takeBack(place)).toBe(true)
  expect(queue.doOne(sign)).toBeUndefined()
})

it('says of a job that fails that it could not be signed, and goes on with the next', () => {
  const { offers, queue } = bothSides()
  const jobs = [offered(offers, 'a', true), offered(offers, 'b', true)]
  expect(
    queue.doOne(() => {
      throw new Error('no such key')
    }),
  ).toEqual({ sendsWord: true })
  queue.doOne(sign)
  expect(jobs.map(job => offers.collect(job))).toEqual([undefined, `7.${encoded('b')}`])
})

it('has room for a payload by its bytes, and for its token', () => {
  const { offers, queue } = bothSides()
  const longest = (character: string) => {
    let length = 1
    while (length < 10_000 && fits(character.repeat(length + 1))) length += 1
    return character.repeat(length)
  }
  expect(Buffer.byteLength(longest('a'))).toBeGreaterThan(5000)
  for (const payload of [longest('a'), longest('ü'), longest('🔐')]) {
    const job = offered(offers, payload)
    queue.doOne((_, text) => `${'h'.repeat(400)}.${text}`)
    expect(offers.collect(job)).toBe(`${'h'.repeat(400)}.${encoded(payload)}`)
    expect(offers.offer(7, `${payload}🔐`, false)).toBeUndefined()
  }
  const job = offered(offers, longest('a'))
  queue.doOne((_, text) => `${'h'.repeat(600)}.${text}`)
  expect(offers.collect(job)).toBeUndefined()
})

it('does not sleep when something was offered since it looked', async () => {
  const { offers, queue } = bothSides()
  const program = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { JobQueue } from ${JSON.stringify(new URL('../../../src/signing/shared-jobs.ts', import.meta.url).href)}
    const queue = new JobQueue(workerData.memory)
    queue.sleep(workerData.offers)
    parentPort.postMessage('awake')`
  const seen = queue.offers
  offered(offers, 'a')
  // Nobody wakes it.
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
  const sleeper = new Worker(url, { workerData: { memory: offers.memory, offers: seen } })
  try {
    const awake = await new Promise((resolve, reject) => {
      const limit = setTimeout(reject, 4000, new Error('it sleeps'))
      sleeper.once('error', reject).once('message', word => {
        clearTimeout(limit)
        resolve(word)
      })
    })
    expect(awake).toBe('awake')
  } finally {
    await sleeper.terminate()
  }
})
