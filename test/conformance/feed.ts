/**
 * One receiver as the runner plays it: it enqueues SETs whose tokens it knows, polls, and checks every answer it
 * gets on the way, so that set-up and second looks are held to the protocol as well.
 */
import { randomUUID } from 'node:crypto'
import { pollAnswerFaults } from './answer.ts'
import type { Issuer } from './issuer.ts'
import { type Exchange, type Outcome, send } from './raw-http.ts'
import { InternalApi, type ReceiverSettings, SetupFailed, type Transmitter } from './transmitter.ts'

export interface PollAnswer {
  readonly sets: ReadonlyMap<string, string>
  readonly moreAvailable: boolean
}

export class Feed {
  readonly id: string
  readonly audience: string
  readonly pollTarget: string
  readonly token: string
  readonly tokenId: string
  /** jti → token, of everything enqueued. */
  readonly tokens = new Map<string, string>()
  /** What was wrong with answers on the way. */
  readonly faults: string[] = []
  readonly #issuer: Issuer
  #transmitter: Transmitter
  #api: InternalApi

  static async open(transmitter: Transmitter, issuer: Issuer, settings: ReceiverSettings): Promise<Feed> {
    const api = new InternalApi(transmitter)
    const id = `conf-${randomUUID()}`
    const audience = `https://${id}.example`
    const { pollUrl } = await api.createReceiver(id, audience, settings)
    const { token, tokenId } = await api.createToken({ scope: 'poll', receiver: id })
    return new Feed(transmitter, issuer, { id, audience, token, tokenId, pollTarget: new URL(pollUrl).pathname })
  }

  private constructor(
    transmitter: Transmitter,
    issuer: Issuer,
    record: Pick<Feed, 'id' | 'audience' | 'token' | 'tokenId' | 'pollTarget'>,
  ) {
    this.#transmitter = transmitter
    this.#issuer = issuer
    this.#api = new InternalApi(transmitter)
    this.id = record.id
    this.audience = record.audience
    this.token = record.token
    this.tokenId = record.tokenId
    this.pollTarget = record.pollTarget
  }

  get api(): InternalApi {
    return this.#api
  }

  /** To another process on the same store. */
  moveTo(transmitter: Transmitter): void {
    this.#transmitter = transmitter
    this.#api = new InternalApi(transmitter)
  }

  /** @param through another process on the same store, where not this feed's own. */
  async enqueue(jti: string, options: { through?: Transmitter; paddingBytes?: number } = {}): Promise<void> {
    const token = await this.#issuer.sign(jti, this.audience, options.paddingBytes)
    this.tokens.set(jti, token)
    const api = options.through === undefined ? this.#api : new InternalApi(options.through)
    await api.appendSet(this.id, token)
  }

  /** @param waitSeconds longest wait, for a transmitter that knows the preference (RFC 7240 §4.3). */
  openPoll(body: Record<string, unknown>, waitSeconds?: number): Exchange {
    const { publicUrl, limits } = this.#transmitter
    const request = {
      method: 'POST',
      target: this.pollTarget,
      headers: [
        ['Content-Type', 'application/json'],
        ['Authorization', `Bearer ${this.token}`],
        ...(waitSeconds === undefined ? [] : [['Prefer', `wait=${waitSeconds}`] as const]),
      ] as const,
      body: Buffer.from(JSON.stringify(body)),
    }
    return send(publicUrl, request, limits.pollWaitMs + 10_000)
  }

  async poll(body: Record<string, unknown>, waitSeconds?: number): Promise<PollAnswer> {
    const answer = this.readPoll(await this.openPoll(body, waitSeconds).outcome)
    if (typeof answer === 'string') throw new SetupFailed(`a poll with ${Object.keys(body)} ${answer}`)
    return answer
  }

  /** @returns what was wrong where there is no poll answer. */
  readPoll(outcome: Outcome): PollAnswer | string {
    if (outcome.kind !== 'answered') {
      const reason = outcome.kind === 'closed' ? ` (${outcome.reason})` : ''
      return `was ${outcome.kind}${reason} after ${Math.round(outcome.afterMs)} ms`
    }
    const { answer } = outcome
    this.faults.push(...pollAnswerFaults(answer, this.tokens))
    if (answer.status !== 200) return `was answered ${answer.status}`
    try {
      const { sets, moreAvailable } = JSON.parse(answer.body.toString('utf8'))
      return { sets: new Map(Object.entries(sets ?? {}).map(([jti, set]) => [jti, String(set)])), moreAvailable }
    } catch {
      return 'was answered with a body that is not JSON'
    }
  }

  /** Hands out exactly these SETs, which must be the only available ones. */
  async deliver(jtis: readonly string[]): Promise<void> {
    const missing = new Set(jtis)
    while (missing.size > 0) {
      const { sets } = await this.poll({ maxEvents: missing.size, returnImmediately: true })
      const unexpected = [...sets.keys()].filter(jti => !missing.has(jti))
      if (sets.size === 0 || unexpected.length > 0) {
        throw new SetupFailed(
          `wanted ${[...missing].join(', ')} delivered, a poll returned ${[...sets.keys()].join(', ') || 'nothing'}`,
        )
      }
      for (const jti of sets.keys()) missing.delete(jti)
    }
  }

  /** A probe is held until something is available, and takes nothing (RFC 8936 §2.4.2). */
  async awaitAvailable(): Promise<void> {
    for (let polls = 0; polls < 10; polls++) if ((await this.poll({ maxEvents: 0 })).moreAvailable) return
    throw new SetupFailed('nothing became available')
  }

  /** Resolves when the change is in force. */
  async change(patch: { status?: string; settings?: ReceiverSettings }): Promise<void> {
    await this.api.patchReceiver(this.id, patch)
    const { settlesWithinMs } = this.#transmitter
    // Nothing outside shows when every process has taken the change over.
    await new Promise(resolve => setTimeout(resolve, settlesWithinMs))
  }

  async remove(): Promise<void> {
    await this.api.removeReceiver(this.id)
  }
}
