/** Parts that many calls share: ids in paths, lists and their paging, times. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { RECEIVER_ID_PATTERN } from '../../protocol/receiver.ts'
import { LIMIT } from '../paging.ts'

export const byId = Type.Object({ id: Type.String({ pattern: RECEIVER_ID_PATTERN, description: 'A receiver.' }) })

export const time = (description: string) => Type.String({ format: 'date-time', description })
export const count = (description?: string) => Type.Integer({ minimum: 0, ...(description ? { description } : {}) })

export function paging<More extends TProperties = Record<never, never>>(more: More = {} as More) {
  return Type.Object({
    ...more,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMIT.max, default: LIMIT.default })),
    cursor: Type.Optional(Type.String({ description: 'The `next` of the page before.' })),
  })
}

export function pageOf(item: TSchema, more: TProperties = {}) {
  return Type.Object({
    items: Type.Array(item),
    ...more,
    next: Type.Optional(Type.String({ description: 'The cursor of the next page; absent on the last.' })),
  })
}

/** What a call answers. Of its type only so much is told as can be written down in declarations of the built package. */
export function answer(description: string, schema: TSchema): { readonly description: string } {
  return { description, ...schema }
}
