/** Every fault a schema finds, one a place, in words and without the value. */
import type { TSchema } from '@sinclair/typebox'
import { Value, ValueErrorType } from '@sinclair/typebox/value'
import type { Fault } from '../errors.ts'

export function schemaFaults(schema: TSchema, value: unknown, at = ''): Fault[] {
  const faults = new Map<string, string>()
  for (const error of Value.Errors(schema, value)) {
    const place = at + error.path
    if (!faults.has(place)) faults.set(place, describe(error.type, error.schema, error.message))
  }
  return [...faults].map(([place, message]) => ({ at: place, message }))
}

function describe(type: ValueErrorType, schema: TSchema, message: string): string {
  switch (type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'is not a known member'
    case ValueErrorType.ObjectRequiredProperty:
      return 'is required'
    default:
      return schema.description === undefined ? message : `${message}: ${schema.description}`
  }
}
