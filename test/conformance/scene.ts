/** Brings about the state a vector starts from, through the public and internal interfaces alone. */
import { type Conditions, readCondition } from './condition.ts'
import { Feed } from './feed.ts'
import type { Issuer } from './issuer.ts'
import { SMALL_PAGE_BYTES } from './own-server.ts'
import { type ReceiverSettings, SetRefused, SetupFailed, type Transmitter } from './transmitter.ts'
import type { Given, Vector } from './vector.ts'

export interface Scene {
  readonly transmitter: Transmitter
  readonly issuer: Issuer
  readonly conditions: Conditions
  /** The caller's stream. */
  readonly feed: Feed
  /** A stream of somebody else; opened when first asked for. */
  readonly otherFeed: () => Promise<Feed>
  /** jtis the transmitter would not take, which the vector allows it. */
  readonly refused: readonly string[]
  /** Longest a poll of this vector is held. */
  readonly pollWaitMs: number
  /** After the process that served it has ended. */
  moveTo(transmitter: Transmitter): Promise<void>
  close(): Promise<void>
}

/** Long enough that nothing is owed again while a vector runs. */
const LONG_REDELIVERY_MS = 60_000
/** Shortened where a vector starts from SETs that are owed again. */
const SHORT_REDELIVERY_MS = 100
/** By how much they are older than those in flight, where there are both. */
const AHEAD_MS = 4000
/** Time-outs are waited for; where an event releases the poll, T must be far from it. */
const RELEASED_POLL_WAIT_MS = 20_000

export async function setScene(vector: Vector, transmitter: Transmitter, issuer: Issuer): Promise<Scene> {
  const given = vector.given ?? {}
  const conditions = readCondition(given.condition)
  const pollWaitMs =
    conditions.pollWaitMs ??
    (vector.expect.timing === 'heldUntilTimeout' || given.during === undefined
      ? transmitter.limits.pollWaitMs
      : RELEASED_POLL_WAIT_MS)
  const settings = {
    pageMax: transmitter.limits.pageMax,
    pollWaitMs,
    redeliverAfterMs: LONG_REDELIVERY_MS,
    maxAttempts: 20,
  }
  const feed = await Feed.open(transmitter, issuer, settings)
  let other: Promise<Feed> | undefined
  const otherFeed = () => {
    other ??= Feed.open(transmitter, issuer, settings)
    return other
  }
  const scene = { transmitter, issuer, conditions, feed, otherFeed, pollWaitMs }
  const refused = await fill(given, scene, settings)
  return {
    ...scene,
    refused,
    async moveTo(next) {
      feed.moveTo(next)
      ;(await other)?.moveTo(next)
    },
    async close() {
      await feed.remove()
      await (await other)?.remove()
    },
  }
}

async function fill(
  given: Given,
  scene: Omit<Scene, 'refused' | 'moveTo' | 'close'>,
  settings: ReceiverSettings,
): Promise<string[]> {
  const { feed, conditions, otherFeed, transmitter } = scene
  const { pageMax } = transmitter.limits
  const refused: string[] = []
  const enqueue = async (to: Feed, jtis: readonly string[]) => {
    const taken: string[] = []
    for (const jti of jtis) {
      try {
        const isFirst = to === feed && feed.tokens.size === 0
        await to.enqueue(jti, conditions.oversizedSet && isFirst ? { paddingBytes: SMALL_PAGE_BYTES } : {})
        taken.push(jti)
      } catch (error) {
        if (!(error instanceof SetRefused && conditions.mayBeRefused)) throw error
        refused.push(jti)
      }
    }
    return taken
  }
  const deliver = async (jtis: readonly string[]) => feed.deliver(await enqueue(feed, jtis))
  const page = Array.from({ length: pageMax }, (_, index) => `page-${index}`)
  const beyond = conditions.queuedBeyondPage
  const delivered = [...(given.delivered ?? []), ...(conditions.fullPageDelivered ? page : [])]
  const queued = [
    ...(given.queued ?? []),
    ...(beyond === undefined ? [] : Array.from({ length: pageMax + beyond }, (_, index) => `page-${index}`)),
  ]

  if (given.acknowledged?.length) {
    await deliver(given.acknowledged)
    await feed.poll({ ack: given.acknowledged, maxEvents: 0, returnImmediately: true })
  }
  if (given.parked?.length) await park(given.parked, scene, settings, deliver)
  const handedOutAt = performance.now()
  await deliver(given.owedAgain ?? [])
  // Those in flight must not lapse together with these.
  const both = Boolean(given.owedAgain?.length && delivered.length > 0)
  if (both) await new Promise(resolve => setTimeout(resolve, AHEAD_MS))
  await deliver(delivered)
  if (given.owedAgain?.length) {
    const redeliverAfterMs = both ? Math.round(performance.now() - handedOutAt) : SHORT_REDELIVERY_MS
    await feed.change({ settings: { redeliverAfterMs } })
    await feed.awaitAvailable()
    await feed.change({ settings })
  }
  await enqueue(feed, queued)
  if (given.otherStream?.length) await enqueue(await otherFeed(), given.otherStream)
  if (conditions.status !== undefined) await feed.change({ status: conditions.status })
  return refused
}

async function park(
  jtis: readonly string[],
  { feed, conditions }: Omit<Scene, 'refused' | 'moveTo' | 'close'>,
  settings: ReceiverSettings,
  deliver: (jtis: readonly string[]) => Promise<void>,
): Promise<void> {
  if (conditions.parkedFor !== 'attempts') {
    await deliver(jtis)
    const report = { err: 'invalid_request', description: 'set-up of a vector' }
    const setErrs = Object.fromEntries(jtis.map(jti => [jti, report]))
    await feed.poll({ setErrs, maxEvents: 0, returnImmediately: true })
    return
  }
  await feed.change({ settings: { maxAttempts: 1, parkAfterMs: 0, redeliverAfterMs: 100, pollWaitMs: 300 } })
  await deliver(jtis)
  const isParked = async () =>
    (await Promise.all(jtis.map(jti => feed.api.setState(feed.id, jti)))).every(({ state }) => state === 'parked')
  for (let polls = 0; !(await isParked()); polls++) {
    if (polls === 20)
      throw new SetupFailed(`${jtis.join(', ')} not parked after one attempt and ${polls} further polls`)
    const { sets } = await feed.poll({})
    if (sets.size > 0) throw new SetupFailed(`${[...sets.keys()].join(', ')} delivered again in spite of maxAttempts 1`)
  }
  await feed.change({ settings })
}

/**
 * Uses up the polls a minute that find nothing. The budget may refill steadily, so this goes on until the poll of the
 * vector is on its way: `stop` ends it.
 */
export async function useUpBudget({ feed, transmitter }: Scene): Promise<{ stop: () => Promise<void> }> {
  const most = transmitter.limits.pollsPerMinute * 2 + 50
  const url = new URL(feed.pollTarget, transmitter.publicUrl)
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${feed.token}` },
    body: '{"returnImmediately":true}',
  }
  const poll = async () => {
    const response = await fetch(url, request)
    await response.arrayBuffer()
    return response.status
  }
  for (let polls = 0, refused = false; !refused; polls += 20) {
    if (polls > most) throw new SetupFailed(`${polls} polls that found nothing and no 429`)
    const statuses = await Promise.all(Array.from({ length: 20 }, poll))
    refused = statuses.includes(429)
  }
  let stopped = false
  const hammering = (async () => {
    while (!stopped) await Promise.all(Array.from({ length: 4 }, poll))
  })()
  return {
    async stop() {
      stopped = true
      await hammering
    },
  }
}
