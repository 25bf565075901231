/** Queue names, job payloads and retry options: shared by what asks for jobs and what works on them. */
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { type Static, Type } from '@sinclair/typebox'
import { type ConnectionOptions, type JobsOptions, Queue } from 'bullmq'
import type { Schedule } from './delivery/schedule.ts'
import { TransmitterError } from './errors.ts'
import type { Client } from './store/connection.ts'
import type { Keys } from './store/keys.ts'
import type { Logger } from './telemetry/logger.ts'

export const QUEUES = ['redelivery', 'retention', 'set-errors'] as const
export type QueueName = (typeof QUEUES)[number]

/** Those that a job of ours can be in; what is done is removed. */
export const JOB_STATES = ['waiting', 'active', 'delayed', 'failed'] as const
export type JobState = (typeof JOB_STATES)[number]

export interface JobCounts {
  readonly queue: QueueName
  readonly jobs: Readonly<Record<JobState, number>>
}

/** The payload of a job about one receiver. */
export const ReceiverJob = Type.Object({ receiver: Type.String() })
export type ReceiverJob = Static<typeof ReceiverJob>

/** Between two looks at what is flagged and overdue, and at what is too old. */
export const RETENTION_EVERY_MS = { min: 1000, max: 60_000 }

/** Overdue by so much, a pass of retention counts as lost. */
const RETENTION_LOST_MS = 5000

const CLOSING_MS = 1000
/** The end of a process waits for a count that is under way; whoever wanted it asks again soon. */
const COUNTING_MS = 2000

const RETRIES: JobsOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: true,
  removeOnFail: { count: 1000 },
}

/** For closing what BullMQ opened: it waits for Redis, also when that is away. */
export async function settledWithin(withinMs: number, closing: readonly Promise<unknown>[]): Promise<void> {
  await answeredWithin(withinMs, Promise.allSettled(closing)).catch(() => {})
}

/** BullMQ waits for Redis without a limit. @throws what `answer` throws, or {TransmitterError} store_unavailable */
async function answeredWithin<T>(withinMs: number, answer: Promise<T>): Promise<T> {
  const { promise: timeIsUp, reject } = Promise.withResolvers<never>()
  const failure = new TransmitterError('store_unavailable', 'The queues of jobs do not answer.')
  const timer = setTimeout(() => reject(failure), withinMs)
  return Promise.race([answer, timeIsUp]).finally(() => clearTimeout(timer))
}

export class Jobs implements Schedule {
  readonly #queues: Readonly<Record<QueueName, Queue>>
  readonly #logger: Logger
  #retention: NodeJS.Timeout | undefined
  #counting: Promise<readonly JobCounts[]> | undefined

  constructor(connection: Client, keys: Keys, logger: Logger) {
    const open = (name: QueueName) => {
      const queue = new Queue(name, {
        connection: connection as unknown as ConnectionOptions,
        prefix: keys.jobs,
        defaultJobOptions: RETRIES,
        skipWaitingForReady: true,
      })
      queue.on('error', error => logger.debug({ err: error, queue: name }, 'queue cannot reach Redis'))
      return queue
    }
    this.#queues = { redelivery: open('redelivery'), retention: open('retention'), 'set-errors': open('set-errors') }
    this.#logger = logger
  }

  sweep(receiver: string, delayMs: number): void {
    // keepLastIfActive: without it a job added while its predecessor runs is dropped. reschedule: R became shorter.
    const deduplication = { id: receiver, keepLastIfActive: true, reschedule: true }
    this.#ask('redelivery', receiver, { delay: Math.max(delayMs, 1), deduplication })
  }

  logReports(receiver: string): void {
    this.#ask('set-errors', receiver, { deduplication: { id: receiver, keepLastIfActive: true } })
  }

  /** Repeats retention, also after its jobs were lost, as when Redis came back with older data. */
  async keepRetention(everyMs: number): Promise<void> {
    const { retention } = this.#queues
    const schedule = () => retention.upsertJobScheduler('retention', { every: everyMs }, { name: 'pass', data: {} })
    const look = async () => {
      const { next } = (await retention.getJobScheduler('retention')) ?? {}
      // A pass may take its time; one that never began was lost.
      if (next === undefined || Date.now() - next > RETENTION_LOST_MS + everyMs) await schedule()
    }
    this.#retention = setInterval(() => {
      look().catch(error => this.#logger.debug({ err: error }, 'retention could not be looked at'))
    }, everyMs).unref()
    await schedule()
  }

  /** How many jobs each queue holds, by state. @throws {TransmitterError} store_unavailable */
  async counts(): Promise<readonly JobCounts[]> {
    // BullMQ keeps a call that was not answered: a second one would only queue up behind it.
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined
    })
    return answeredWithin(COUNTING_MS, this.#counting)
  }

  /** The queues for somebody to look at. */
  boards(): BullMQAdapter[] {
    return Object.values(this.#queues).map(queue => new BullMQAdapter(queue, { readOnlyMode: true }))
  }

  async close(): Promise<void> {
    clearInterval(this.#retention)
    await settledWithin(
      CLOSING_MS,
      Object.values(this.#queues).map(queue => queue.close()),
    )
  }

  #count(): Promise<readonly JobCounts[]> {
    return Promise.all(
      QUEUES.map(async queue => {
        const counts = await this.#queues[queue].getJobCounts(...JOB_STATES)
        const jobs = Object.fromEntries(JOB_STATES.map(state => [state, counts[state] ?? 0]))
        return { queue, jobs: jobs as Record<JobState, number> }
      }),
    )
  }

  #ask(queue: QueueName, receiver: string, options: JobsOptions): void {
    this.#queues[queue].add('receiver', { receiver } satisfies ReceiverJob, options).catch(error => {
      this.#logger.warn({ receiver, queue, err: error }, 'a job could not be added; the next poll asks again')
    })
  }
}
