import type { Processor } from 'bullmq'
import type { SetErrors } from '../src/delivery/set-errors.ts'
import { receiverOf } from './receiver-of.ts'

/** What a receiver reported in `setErrs` goes to the log and to metrics. */
export function setErrorsProcessor(setErrors: SetErrors): Processor {
  return job => setErrors.log(receiverOf(job.data))
}
