/** Every fault a schema finds, one a place, in words and without the value. */
import type { TSchema } from '@sinclair/typebox'
import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value'
import type { Fault } from '../errors.ts'

/** @param at where `value` stands, as a JSON pointer. */
export function schemaFaults(schema: TSchema, value: unknown, at = ''): Fault[] {
  const faults = new Map<string, string>()
  for (const error of Value.Errors(schema, value)) {
    const place = at + error.path
    // The first is the plainest: a missing member is also said to have the wrong type.
    if (!faults.has(place)) faults.set(place, describe(error))
  }
  return [...faults].map(([place, message]) => ({ at: place, message }))
}

function describe({ type, schema }: ValueError): string {
  const what = schema.description === undefined ? '' : `: ${schema.description}`
  switch (type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'is not a known member'
    case ValueErrorType.ObjectRequiredProperty:
      return `is required${what}`
    case ValueErrorType.ObjectMinProperties:
      return `has too few members${what}`
    case ValueErrorType.ArrayMinItems:
      return `has too few elements${what}`
    case ValueErrorType.ArrayMaxItems:
      return `has more than ${schema.maxItems} elements${what}`
    case ValueErrorType.ArrayUniqueItems:
      return `has an element twice${what}`
    case ValueErrorType.StringMinLength:
      return `is empty${what}` // Our least length is 1.
    case ValueErrorType.StringMaxLength:
      return `is longer than ${schema.maxLength} characters${what}`
    case ValueErrorType.IntegerMinimum:
      return `is less than ${schema.minimum}${what}`
    case ValueErrorType.IntegerMaximum:
      return `is more than ${schema.maximum}${what}`
    case ValueErrorType.Object:
      return `is not an object${what}`
    case ValueErrorType.Array:
      return `is not an array${what}`
    case ValueErrorType.String:
      return `is not a string${what}`
    case ValueErrorType.Number:
      return `is not a number${what}`
    case ValueErrorType.Integer:
      return `is not a whole number${what}`
    default:
      return `is not valid${what}`
  }
}
