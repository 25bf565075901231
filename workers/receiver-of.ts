import { Value } from '@sinclair/typebox/value'
import { ReceiverJob } from '../src/jobs.ts'

/** The receiver a job is about. @throws {Error} for a payload that is not ours; the job fails and is kept to be looked at. */
export function receiverOf(data: unknown): string {
  return Value.Parse(ReceiverJob, data).receiver
}
