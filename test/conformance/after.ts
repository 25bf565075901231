/** Where the SETs of a vector are once the exchange is over: by the internal interface, and by polling on. */
import type { Feed } from './feed.ts'
import type { Scene } from './scene.ts'
import type { After } from './vector.ts'

const OWED = ['queued', 'inFlight', 'owedAgain']
const GONE = [undefined, 'acknowledged']
const COUNTED = ['queued', 'inFlight', 'owedAgain', 'parked']

/** State of everything enqueued for the vector, to be compared as text: a 4xx changes none of it (P-126). */
export async function snapshot(scene: Scene, feeds: readonly Feed[]): Promise<string> {
  const parts = await Promise.all(
    feeds.map(async feed => {
      // A page is counted rather than asked for SET by SET.
      const jtis = [...feed.tokens.keys()].slice(0, 10)
      const [stats, ...states] = await Promise.all([
        feed.api.stats(feed.id),
        ...jtis.map(jti => feed.api.setState(feed.id, jti)),
      ])
      const counts = COUNTED.map(name => `${name} ${stats[name]}`)
      const each = states.map(({ state, attempts }, index) => `${jtis[index]} ${state} (${attempts})`)
      return [feed === scene.feed ? 'own' : 'other', ...counts, ...each].join(', ')
    }),
  )
  return parts.join('; ')
}

export async function afterFaults(after: After, scene: Scene): Promise<string[]> {
  const { feed, refused } = scene
  const owed = (after.owed ?? []).filter(jti => !refused.includes(jti))
  const faults = [
    ...(await stateFaults(feed, owed, OWED, 'owed')),
    ...(await stateFaults(feed, after.acknowledged ?? [], GONE, 'acknowledged')),
    ...(await parkedFaults(feed, after.parked ?? [])),
    ...(await pollFaults(feed, owed, [...(after.acknowledged ?? []), ...(after.parked ?? [])])),
  ]
  if (after.otherStreamOwed?.length) {
    const other = await scene.otherFeed()
    faults.push(...(await pollFaults(other, after.otherStreamOwed, [])).map(fault => `other stream: ${fault}`))
  }
  return faults
}

async function stateFaults(feed: Feed, jtis: readonly string[], allowed: readonly unknown[], wanted: string) {
  const states = await Promise.all(jtis.map(jti => feed.api.setState(feed.id, jti)))
  return states.flatMap(({ state }, index) =>
    allowed.includes(state) ? [] : [`${jtis[index]} is ${state ?? 'unknown'}, wanted ${wanted}`],
  )
}

async function parkedFaults(feed: Feed, jtis: readonly string[]): Promise<string[]> {
  if (jtis.length === 0) return []
  const listed = (await feed.api.parked(feed.id)).map(({ jti }) => jti)
  const missing = jtis.filter(jti => !listed.includes(jti))
  const faults = await stateFaults(feed, jtis, ['parked'], 'parked')
  return [...faults, ...missing.map(jti => `${jti} is not listed among the parked`)]
}

const SENTINEL_REDELIVERY_MS = 200
const SENTINEL_POLL_WAIT_MS = 1000
const SENTINEL_POLLS_MAX = 20

/**
 * Polls on until everything owed was seen, and until a sentinel that was delivered last has come a second time: a SET
 * that was handed out before it and is still owed would have come again as well. So absence is observed and not waited for.
 */
export async function pollFaults(feed: Feed, owed: readonly string[], gone: readonly string[]): Promise<string[]> {
  if (owed.length + gone.length === 0) return []
  // That the change is in force is seen by what it brings.
  await feed.api.patchReceiver(feed.id, {
    status: 'enabled',
    settings: { redeliverAfterMs: SENTINEL_REDELIVERY_MS, pollWaitMs: SENTINEL_POLL_WAIT_MS, maxAttempts: 0 },
  })
  const sentinel = 'conf-sentinel'
  await feed.enqueue(sentinel)
  const seen = new Map<string, number>()
  const missing = () => [
    ...owed.filter(jti => !seen.has(jti)),
    ...((seen.get(sentinel) ?? 0) < 2 ? [`${sentinel} (twice)`] : []),
  ]
  for (let polls = 0; missing().length > 0; polls++) {
    if (polls === SENTINEL_POLLS_MAX) return [`${polls} further polls did not return ${missing().join(', ')}`]
    const { sets } = await feed.poll({}, 1)
    for (const jti of sets.keys()) seen.set(jti, (seen.get(jti) ?? 0) + 1)
  }
  return gone.filter(jti => seen.has(jti)).map(jti => `${jti} was delivered again`)
}
