import { fastify } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { deciding, withValue } from '../../../src/http/deciding.ts'

const apps: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

/** How a request ends about which is decided so, and how often its handler ran. */
async function answerOf(decide: () => void | Promise<void>) {
  const app = fastify()
  apps.push(app)
  let handled = 0
  app.addHook('onRequest', deciding(decide))
  app.get('/', async () => ({ handled: ++handled }))
  const { statusCode, body } = await app.inject('/')
  return { statusCode, message: JSON.parse(body).message, handled }
}

const refused = Object.assign(new Error('not this one'), { statusCode: 403 })

describe('a decision', () => {
  it.each<[string, () => void | Promise<void>]>([
    ['at once', () => {}],
    ['later', async () => {}],
  ])('for a request that is made %s lets it in, once', async (_when, decide) => {
    expect(await answerOf(decide)).toEqual({ statusCode: 200, message: undefined, handled: 1 })
  })

  it.each<[string, () => void | Promise<void>]>([
    ['at once', () => raise(refused)],
    ['later', async () => raise(refused)],
  ])('against a request that is made %s refuses it with its error', async (_when, decide) => {
    expect(await answerOf(decide)).toEqual({ statusCode: 403, message: 'not this one', handled: 0 })
  })

  it.each<[string, () => void | Promise<void>]>([
    ['at once', () => raise(undefined)],
    ['later', async () => raise(undefined)],
  ])('against a request that is made %s without an error refuses it all the same', async (_when, decide) => {
    expect(await answerOf(decide)).toMatchObject({ statusCode: 500, handled: 0 })
  })
})

it('goes on with a value at once, or when it is there', async () => {
  expect(withValue(1, value => value + 1)).toBe(2)
  expect(await withValue(Promise.resolve(1), value => value + 1)).toBe(2)
  expect(() => withValue(1, () => raise(refused))).toThrow(refused)
  await expect(withValue(Promise.resolve(1), () => raise(refused))).rejects.toBe(refused)
})

function raise(error: unknown): never {
  throw error
}
