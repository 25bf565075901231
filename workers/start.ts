/** BullMQ workers: one per queue, each a processor that makes one call into delivery. */
import { type ConnectionOptions, type Processor, Worker } from 'bullmq'
import type { KeyRetirement } from '../src/delivery/key-retirement.ts'
import type { Redelivery } from '../src/delivery/redelivery.ts'
import type { Retention } from '../src/delivery/retention.ts'
import type { SetErrors } from '../src/delivery/set-errors.ts'
import { type QueueName, settledWithin } from '../src/jobs.ts'
import type { Client } from '../src/store/connection.ts'
import type { Keys } from '../src/store/keys.ts'
import type { WorkerRuns } from '../src/store/worker-runs.ts'
import type { Logger } from '../src/telemetry/logger.ts'
import { redeliveryProcessor } from './redelivery.ts'
import { retentionProcessor } from './retention.ts'
import { setErrorsProcessor } from './set-errors.ts'

export interface WorkerDependencies {
  readonly connection: Client
  readonly keys: Keys
  readonly logger: Logger
  readonly redelivery: Redelivery
  readonly retention: Retention
  readonly keyRetirement: KeyRetirement
  readonly setErrors: SetErrors
  readonly runs: Pick<WorkerRuns, 'note'>
}

export interface Workers {
  /**
   * Takes no further job, waits for those under way, at the most so long: BullMQ waits for Redis, also when that is away.
   * A job that was left is found stalled, and done by another worker.
   */
  close(withinMs: number): Promise<void>
}

/** Receivers worked on beside each other in a process; a walk is a chain of short steps, so these share well. */
const RECEIVERS_AT_ONCE = 8

/**
 * A job whose worker died is begun anew by another within some 15 s. As often as that happens: every job here goes on
 * from where the last one stopped, and may be done twice.
 */
const DEAD_WORKER = { lockDuration: 10_000, stalledInterval: 5000, maxStalledCount: 1000 }

export function startWorkers(deps: WorkerDependencies): Workers {
  const start = (name: QueueName, processor: Processor, concurrency: number) => {
    const worker = new Worker(name, processor, {
      connection: deps.connection as unknown as ConnectionOptions,
      prefix: deps.keys.jobs,
      concurrency,
      ...DEAD_WORKER,
    })
    worker.on('error', error => deps.logger.debug({ err: error, queue: name }, 'worker cannot reach Redis'))
    worker.on('completed', () => deps.runs.note(name))
    worker.on('failed', (job, error) => {
      deps.runs.note(name)
      deps.logger.error(
        { queue: name, receiver: job?.data.receiver, attempt: job?.attemptsMade, err: error },
        'job failed',
      )
    })
    return worker
  }
  const workers = [
    start('redelivery', redeliveryProcessor(deps.redelivery), RECEIVERS_AT_ONCE),
    start('retention', retentionProcessor(deps.retention, deps.keyRetirement), 1),
    start('set-errors', setErrorsProcessor(deps.setErrors), RECEIVERS_AT_ONCE),
  ]
  return {
    async close(withinMs) {
      await settledWithin(
        withinMs,
        workers.map(worker => worker.close()),
      )
    },
  }
}
