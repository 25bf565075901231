/**
 * One receiver and what can be done with it: over HTTP as a receiver, a producer and an operator would, and in Redis only
 * what HTTP cannot do, such as letting time pass for what is pending.
 */
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { expect } from 'vitest'
import type { Role } from '../../src/serve.ts'
import { CONSUMER, GROUP, keysFor, type ReceiverKeys } from '../../src/store/keys.ts'
import { foreignSet, HAPPENED } from './foreign-set.ts'
import { type Recount, recount } from './recount.ts'
import { connect, redisUrl, testPrefix } from './redis.ts'
import { startTransmitter, type TestTransmitter } from './transmitter.ts'
import { startProcess, type TransmitterProcess } from './transmitter-process.ts'
import { until } from './until.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is the test's business.
  readonly body: any
}

export interface PollAnswer extends Answer {
  /** jti → token, in the order they were written. */
  readonly sets: ReadonlyMap<string, string>
  readonly jtis: readonly string[]
  readonly moreAvailable: boolean
}

/** A process of the transmitter, in ours or not. */
export interface Place {
  readonly publicUrl: string
  readonly internalUrl: string
  readonly adminToken: string
}

export interface PollOptions {
  /** Another process of the same transmitter. */
  readonly at?: Place
  readonly signal?: AbortSignal
  readonly headers?: Record<string, string>
}

export interface Stats {
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly retained: number
  readonly oldestUnackedSeconds: number
  readonly published: number
  readonly delivered: number
  readonly redelivered: number
  readonly acked: number
  readonly bytes: number
  readonly heldPolls: number
}

export interface Lab {
  readonly prefix: string
  readonly redis: Redis
  readonly transmitter: TestTransmitter
  /** Another process of the same transmitter, on the same data. */
  another(env?: Record<string, string>, roles?: Parameters<typeof startTransmitter>[1]): Promise<TestTransmitter>
  /** The same as a child process, to be killed. */
  spawn(roles: readonly Role[], env?: Record<string, string>): Promise<TransmitterProcess>
  /** A receiver of its own; the id is made up. */
  feed(record?: Record<string, unknown>): Promise<Feed>
}

/** A transmitter without workers: what a test sees is done by what it calls, unless it starts a worker. */
export async function openLab(
  env: Record<string, string> = {},
  roles: Parameters<typeof startTransmitter>[1] = ['public', 'internal'],
): Promise<Lab> {
  const prefix = testPrefix()
  const redis = connect({ replyMapping: 'legacy' }, env.REDIS_URL)
  const all = { POLL_WAIT_MS: '10000', RATE_LIMIT_POLL: '0', KEY_PREFIX: prefix, ...env }
  const transmitter = await startTransmitter(all, roles)
  return {
    prefix,
    redis,
    transmitter,
    another: (more = {}, theirRoles = roles) =>
      startTransmitter({ ...all, KEYS_DIR: transmitter.keysDir, ...more }, theirRoles),
    spawn: (theirRoles, more = {}) => {
      const { keysDir, adminToken, issuer } = transmitter
      const same = { REDIS_URL: redisUrl(), KEYS_DIR: keysDir, ADMIN_TOKEN: adminToken, ISSUER: issuer }
      return startProcess({ ...same, ...all, ...more }, theirRoles)
    },
    feed: record => Feed.open(transmitter, redis, prefix, record),
  }
}

export class Feed {
  readonly id: string
  readonly audience: string
  readonly token: string
  readonly keys: ReceiverKeys
  readonly #transmitter: TestTransmitter
  readonly #redis: Redis

  private constructor(
    transmitter: TestTransmitter,
    redis: Redis,
    prefix: string,
    made: { id: string; audience: string; token: string },
  ) {
    this.#transmitter = transmitter
    this.#redis = redis
    this.id = made.id
    this.audience = made.audience
    this.token = made.token
    this.keys = keysFor(prefix).of(made.id)
  }

  static async open(
    transmitter: TestTransmitter,
    redis: Redis,
    prefix: string,
    record: Record<string, unknown> = {},
  ): Promise<Feed> {
    const id = `r-${randomBytes(6).toString('hex')}`
    const { token, audience } = await transmitter.addReceiver(id, record)
    return new Feed(transmitter, redis, prefix, { id, audience, token })
  }

  /** @returns the answer, whatever its status. */
  async poll(request: object = {}, { at = this.#transmitter, signal, headers = {} }: PollOptions = {}) {
    const response = await fetch(`${at.publicUrl}/receivers/${this.id}/poll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token}`, ...headers },
      body: JSON.stringify(request),
      ...(signal === undefined ? {} : { signal }),
    })
    const answer = await read(response)
    const sets = new Map(Object.entries((answer.body?.sets ?? {}) as Record<string, string>))
    const moreAvailable = answer.body?.moreAvailable === true
    return { ...answer, sets, jtis: [...sets.keys()], moreAvailable } satisfies PollAnswer
  }

  /** A poll that is answered at once. */
  pollNow(request: object = {}, options: PollOptions = {}): Promise<PollAnswer> {
    return this.poll({ returnImmediately: true, ...request }, options)
  }

  /** Acknowledges and asks for nothing. */
  async ack(jtis: readonly string[], options: PollOptions = {}): Promise<void> {
    const { status } = await this.pollNow({ ack: jtis, maxEvents: 0 }, options)
    expect(status).toBe(200)
  }

  async report(jtis: readonly string[], error: object = { err: 'invalid_key', description: 'unknown' }): Promise<void> {
    const setErrs = Object.fromEntries(jtis.map(jti => [jti, error]))
    const { status } = await this.pollNow({ setErrs, maxEvents: 0 })
    expect(status).toBe(200)
  }

  /** A poll that this process holds once the promise `held` is fulfilled. */
  async hold(request: object = {}, options: PollOptions = {}): Promise<Promise<PollAnswer>[]> {
    const before = (await this.stats(options.at)).heldPolls
    const answer = this.poll(request, options)
    answer.catch(() => undefined)
    await until('the poll is held', async () => (await this.stats(options.at)).heldPolls > before)
    // In an array, since a promise in a promise would be awaited with it.
    return [answer]
  }

  /** Publishes one event to this receiver. @returns its jti. */
  async publish(id: string = randomBytes(8).toString('hex'), more: object = {}): Promise<string> {
    const { status, body } = await this.tryPublish({ id, ...more })
    expect(status).toBe(202)
    return body.deliveries[0].jti
  }

  async publishMany(count: number): Promise<string[]> {
    const jtis: string[] = []
    for (let from = 0; from < count; from += 1000) {
      const items = Array.from({ length: Math.min(1000, count - from) }, () => ({
        id: randomBytes(8).toString('hex'),
        receivers: [this.id],
        events: { [HAPPENED]: {} },
      }))
      const { body } = await callAdmin(this.#transmitter, 'POST', '/v1/events/batch', { items })
      for (const result of body.results) {
        expect(result.status).toBe(202)
        jtis.push(result.deliveries[0].jti)
      }
    }
    return jtis
  }

  tryPublish(event: object, at: Place = this.#transmitter): Promise<Answer> {
    return callAdmin(at, 'POST', '/v1/events', { receivers: [this.id], events: { [HAPPENED]: {} }, ...event })
  }

  /** Appends a SET of about so many bytes issued elsewhere. @returns the token. */
  async append(jti: string, bytes = 0): Promise<string> {
    const token = await foreignSet(jti, this.audience, bytes)
    const { status } = await this.tryAppend(token)
    expect(status).toBe(202)
    return token
  }

  tryAppend(token: string): Promise<Answer> {
    const path = `/v1/receivers/${this.id}/sets`
    return callAdmin(this.#transmitter, 'POST', path, token, 'application/secevent+jwt')
  }

  /** One call about this receiver as administrator. @returns the answer, whatever its status. */
  admin(method: string, path: string, body?: unknown, at: Place = this.#transmitter): Promise<Answer> {
    return callAdmin(at, method, `/v1/receivers/${this.id}${path}`, body)
  }

  async patch(patch: object, at: Place = this.#transmitter): Promise<void> {
    const { status } = await this.admin('PATCH', '', patch, at)
    expect(status).toBe(200)
  }

  async stats(at: Place = this.#transmitter): Promise<Stats> {
    const { status, body } = await this.admin('GET', '/stats', undefined, at)
    expect(status).toBe(200)
    return body
  }

  /** Where one SET is, as an operator sees it. */
  async locate(jti: string): Promise<Answer['body']> {
    return (await this.admin('GET', `/sets/${encodeURIComponent(jti)}`)).body
  }

  /** Lets time pass for what is in flight: these SETs, or all. The attempts stay as they are. */
  async age(ms: number, jtis?: readonly string[]): Promise<void> {
    const pending = (await this.#redis.xpending(this.keys.log, GROUP, '-', '+', 100_000, CONSUMER.inflight)) as [
      string,
    ][]
    const ids =
      jtis === undefined ? pending.map(([id]) => id) : await this.#redis.hmget(this.keys.ids, ...(jtis as string[]))
    for (const id of ids) {
      expect(id).not.toBeNull()
      await this.#redis.xclaim(this.keys.log, GROUP, CONSUMER.inflight, 0, id as string, 'IDLE', ms, 'JUSTID')
    }
  }

  /** Recounts the slow way, at one moment: true whatever others do meanwhile. */
  recount(): Promise<Recount> {
    return recount(this.#redis, this.keys)
  }

  /** Recounts the slow way, and compares with what `/stats` says. For when nothing else goes on. */
  async check(): Promise<Recount> {
    const counted = await this.recount()
    const stats = await this.stats()
    const { queued, inFlight, owedAgain, parked, retained, bytes } = counted
    expect(stats).toMatchObject({ queued, inFlight, owedAgain, parked, retained, bytes })
    if (counted.oldestMs === undefined) expect(stats.oldestUnackedSeconds).toBe(0)
    else {
      const [seconds, microseconds] = await this.#redis.time()
      const ageSeconds = Number(seconds) + Number(microseconds) / 1e6 - counted.oldestMs / 1000
      expect(Math.abs(ageSeconds - stats.oldestUnackedSeconds)).toBeLessThan(0.5)
    }
    return counted
  }
}

/** One call of the internal listener as administrator. @returns the answer, whatever its status. */
export async function callAdmin(
  transmitter: Place,
  method: string,
  path: string,
  body?: unknown,
  contentType = 'application/json',
): Promise<Answer> {
  const response = await fetch(transmitter.internalUrl + path, {
    method,
    headers: {
      authorization: `Bearer ${transmitter.adminToken}`,
      ...(body === undefined ? {} : { 'content-type': contentType }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return read(response)
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== ''
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
}
