import type { Processor } from 'bullmq'
import type { Retention } from '../src/delivery/retention.ts'

/** One pass: expired SETs are parked, what was kept for its time goes. */
export function retentionProcessor(retention: Retention): Processor {
  return () => retention.pass(Date.now())
}
