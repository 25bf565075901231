/** Producers and receivers: what they do in the world, with the patience that the protocol asks of them. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Ledger } from './ledger.ts'
import type { Place } from './processes.ts'
import { Random } from './random.ts'

export interface LoadOptions {
  readonly places: readonly Place[]
  readonly ledger: Ledger
  readonly adminToken: string
  readonly receivers: readonly ReceiverAccount[]
  readonly pollWaitMs: number
}

export interface ReceiverAccount {
  readonly id: string
  readonly audience: string
  readonly token: string
}

const EVENT_TYPE = 'https://events.example/chaos'
/** Longer than a poll may be held by a process that is frozen for a while. */
const PATIENCE_MS = 15_000
const RETRY_MS = 100

/**
 * Publishes under one id until it is taken, or nobody waits any more.
 * @param isStopped no new events; what is under way is brought to an end.
 */
export async function produce(
  options: LoadOptions,
  name: string,
  seed: number,
  everyMs: number,
  isStopped: () => boolean,
): Promise<void> {
  const random = new Random(seed)
  for (let n = 0; !isStopped(); n++) {
    const receivers = [...new Set([random.pick(options.receivers).id, random.pick(options.receivers).id])]
    const body = {
      id: `${name}-${n}`,
      receivers,
      events: { [EVENT_TYPE]: { n, padding: 'x'.repeat(random.between(0, 400)) } },
    }
    while (!(await publishOnce(options, body))) await delay(RETRY_MS * (0.5 + Math.random()))
    await delay(random.between(0, everyMs * 2))
  }
}

async function publishOnce({ places, ledger, adminToken }: LoadOptions, event: { id: string }): Promise<boolean> {
  const url = anyOf(places, 'internal')
  if (url === undefined) return false
  try {
    const response = await fetch(`${url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const body = (await response.json()) as { deliveries?: { receiver: string; jti: string; status: string }[] }
    if (response.status !== 202) {
      ledger.counts.refusedPublishes += 1
      ledger.note(`publish ${event.id} ${response.status}`)
      if (![429, 503].includes(response.status)) {
        ledger.violated(`publish answered ${response.status}`, '', undefined, JSON.stringify(body).slice(0, 500))
      }
      return false
    }
    for (const { receiver, jti } of body.deliveries ?? []) ledger.confirmed(receiver, jti)
    return true
  } catch {
    ledger.counts.refusedPublishes += 1
    return false
  }
}

/** Polls, verifies by the ledger, and acknowledges with the next poll; sometimes it forgets, refuses, or hangs up. */
export async function receive(
  options: LoadOptions,
  account: ReceiverAccount,
  seed: number,
  state: { readonly isFair: boolean; readonly isStopped: boolean },
): Promise<void> {
  const random = new Random(seed)
  const { ledger } = options
  let ack: string[] = []
  let setErrs: string[] = []
  while (!state.isStopped) {
    const polledAt = performance.now()
    ledger.counts.polls += 1
    ledger.settling(account.id, [...ack, ...setErrs])
    const hangsUp = !state.isFair && random.chance(0.02)
    const page = await pollOnce(options, account, {
      ack,
      setErrs,
      hangsUpMs: hangsUp ? random.between(1, 200) : undefined,
    })
    if (page === undefined) {
      ledger.counts.failedPolls += 1
      // What was acknowledged may have been taken or not: it is said again.
      await delay(RETRY_MS * (0.5 + Math.random()))
      continue
    }
    ledger.acked(account.id, ack)
    ledger.reported(account.id, setErrs)
    ack = []
    setErrs = []
    for (const [jti, token] of page) {
      ledger.delivered(account.id, account.audience, jti, token, polledAt)
      const fate = state.isFair ? 1 : random.next()
      // Forgotten ones come again.
      if (fate < 0.03) continue
      if (fate < 0.04) setErrs.push(jti)
      else ack.push(jti)
    }
  }
}

async function pollOnce(
  { places, ledger, pollWaitMs }: LoadOptions,
  { id, token }: ReceiverAccount,
  { ack, setErrs, hangsUpMs }: { ack: readonly string[]; setErrs: readonly string[]; hangsUpMs: number | undefined },
): Promise<[string, string][] | undefined> {
  const url = anyOf(places, 'public')
  if (url === undefined) return undefined
  const startedAt = performance.now()
  const errors = Object.fromEntries(setErrs.map(jti => [jti, { err: 'jwtHdr', description: 'chaos' }]))
  try {
    const response = await fetch(`${url}/receivers/${id}/poll`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ack, ...(setErrs.length === 0 ? {} : { setErrs: errors }) }),
      signal: AbortSignal.timeout(hangsUpMs ?? pollWaitMs + PATIENCE_MS),
    })
    const text = await response.text()
    if (response.status !== 200) {
      ledger.note(`poll ${id} ${response.status}`)
      if (response.status !== 503)
        ledger.violated(`poll answered ${response.status}`, id, undefined, text.slice(0, 500))
      return undefined
    }
    return Object.entries((JSON.parse(text) as { sets: Record<string, string> }).sets)
  } catch (error) {
    if (hangsUpMs !== undefined) ledger.counts.abandonedPolls += 1
    else if ((error as Error).name === 'TimeoutError') {
      ledger.violated(
        'a poll was forgotten',
        id,
        undefined,
        `${Math.round(performance.now() - startedAt)} ms at ${url}`,
      )
    }
    return undefined
  }
}

function anyOf(places: readonly Place[], listener: 'public' | 'internal'): string | undefined {
  const urls = places.flatMap(({ urls }) => (urls?.[listener] ? [urls[listener]] : []))
  return urls[Math.floor(Math.random() * urls.length)]
}
