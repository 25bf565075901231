/** Schemas that the description names once and refers to: `components.ts` has them all. */
import { type TSchema, Type } from '@sinclair/typebox'

export function ref(name: string): TSchema {
  return Type.Unsafe({ $ref: `${name}#` })
}
