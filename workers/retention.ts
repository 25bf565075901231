import type { Processor } from 'bullmq'
import type { KeyRetirement } from '../src/delivery/key-retirement.ts'
import type { Retention } from '../src/delivery/retention.ts'

/** One pass: expired SETs are parked, what was kept for its time goes, and keys that nothing is signed with any more. */
export function retentionProcessor(retention: Retention, keyRetirement: KeyRetirement): Processor {
  return async () => {
    await retention.pass(Date.now())
    await keyRetirement.pass(Date.now())
  }
}
