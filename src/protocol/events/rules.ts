/** Rules of the event types we know. Any other type passes, with whatever data its owner defines (SSF 1.0 §4.2). */
import type { TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { Fault } from '../../errors.ts'
import { isObject } from '../json.ts'
import { schemaFaults } from '../schema-faults.ts'
import { CAEP_EVENTS } from './caep.ts'
import { ABOUT_AN_IDENTIFIER, IDENTIFIER_FORMATS, RISC_EVENTS } from './risc.ts'

/** The transmitter states these about a stream; from anyone else they would be a forgery (SSF 1.0 §8.1.4, §8.1.5). */
const RESERVED = 'https://schemas.openid.net/secevent/ssf/event-type/'

const checks: ReadonlyMap<string, { schema: TSchema; check: TypeCheck<TSchema> }> = new Map(
  Object.entries<TSchema>({ ...CAEP_EVENTS, ...RISC_EVENTS }).map(([type, schema]) => [
    type,
    { schema, check: TypeCompiler.Compile(schema) },
  ]),
)

/** @param at where it is: a JSON pointer, made when there is something to be said of it. */
export function reservedTypeFault(type: string, at: () => string): Fault | undefined {
  return type.startsWith(RESERVED)
    ? { at: at(), message: 'is a type that only the transmitter itself may state' }
    : undefined
}

/**
 * @param subject the top-level `sub_id`, which the older place inside the event stands in for.
 * @param at where the event is: a JSON pointer, made when there is something to be said of it
 */
export function eventTypeFaults(
  type: string,
  data: Record<string, unknown>,
  subject: unknown,
  at: () => string,
): Fault[] {
  const reserved = reservedTypeFault(type, at)
  if (reserved !== undefined) return [reserved]
  const known = checks.get(type)
  if (known === undefined) return []
  const faults = known.check.Check(data) ? [] : schemaFaults(known.schema, data, at())
  if (ABOUT_AN_IDENTIFIER.has(type)) {
    const identifier = subject ?? data.subject
    if (!isObject(identifier) || !IDENTIFIER_FORMATS.has(identifier.format)) {
      faults.push({ at: at(), message: 'needs a subject of format email or phone_number' })
    }
  }
  return faults
}
