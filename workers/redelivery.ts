import type { Processor } from 'bullmq'
import type { Redelivery } from '../src/delivery/redelivery.ts'
import { receiverOf } from './receiver-of.ts'

/** What has been in flight for R is owed again, or parked. */
export function redeliveryProcessor(redelivery: Redelivery): Processor {
  return job => redelivery.sweep(receiverOf(job.data))
}
