/**
 * An event as a producer states it, and every fault it may have.
 * Source: RFC 8417 §2, §2.2 (claims and events), RFC 9493 §4.1 (`sub_id`).
 */
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Fault } from '../errors.ts'
import { eventTypeFaults } from './events/rules.ts'
import { isObject, jsonFaults, pointer } from './json.ts'
import { RECEIVER_ID_PATTERN } from './receiver.ts'
import { schemaFaults } from './schema-faults.ts'
import { validateSubject } from './subject.ts'
import { isUri } from './uri.ts'

export const EVENT_ID_LENGTH_MAX = 128

const payload = Type.Record(Type.String(), Type.Unknown())

export const PublishEvent = Type.Object(
  {
    id: Type.Optional(
      Type.String({ minLength: 1, maxLength: EVENT_ID_LENGTH_MAX, description: 'Makes the call idempotent.' }),
    ),
    events: Type.Record(Type.String(), payload, { minProperties: 1, description: 'Event data, by event type URI.' }),
    sub_id: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Subject (RFC 9493).' })),
    sub: Type.Optional(Type.String()),
    txn: Type.Optional(Type.String()),
    toe: Type.Optional(Type.Number({ description: 'When it happened, in seconds since the epoch.' })),
    receivers: Type.Optional(
      Type.Array(Type.String({ pattern: RECEIVER_ID_PATTERN, description: 'a receiver id' }), {
        minItems: 1,
        uniqueItems: true,
        description: 'Receiver ids. Absent: every subscribed receiver.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type PublishEvent = Static<typeof PublishEvent>

const shape = TypeCompiler.Compile(PublishEvent)

/** @returns every fault at once; none means that `event` is a `PublishEvent`. */
export function validateEvent(event: unknown): Fault[] {
  const faults = jsonFaults(event, '')
  if (faults.length > 0) return faults
  if (!shape.Check(event)) faults.push(...schemaFaults(PublishEvent, event))
  if (!isObject(event)) return faults
  if (event.sub_id !== undefined && isObject(event.sub_id)) faults.push(...validateSubject(event.sub_id, '/sub_id'))
  if (isObject(event.events)) {
    for (const type of Object.keys(event.events)) {
      const at = () => pointer('/events', type)
      if (!isUri(type)) faults.push({ at: at(), message: 'is not named by a URI' })
      const data = event.events[type]
      if (isObject(data)) faults.push(...eventTypeFaults(type, data, event.sub_id, at))
    }
  }
  return faults
}
