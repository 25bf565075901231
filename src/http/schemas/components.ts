/** Everything that the description names. */
import type { TSchema } from '@sinclair/typebox'
import { eventSchemas } from './events.ts'
import { Fault, PollFailure, Problem } from './failures.ts'
import { operationSchemas } from './operations.ts'
import { receiverSchemas } from './receivers.ts'
import { receivingSchemas } from './receiving.ts'
import { setSchemas } from './sets.ts'
import { tokenSchemas } from './tokens.ts'

export const components: readonly TSchema[] = [
  ...eventSchemas,
  ...receiverSchemas,
  ...tokenSchemas,
  ...setSchemas,
  ...operationSchemas,
  ...receivingSchemas,
  Problem,
  PollFailure,
  Fault,
]
