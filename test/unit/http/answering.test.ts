import { type FastifyReply, fastify } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { answerWith } from '../../../src/http/answering.ts'

const apps: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

const refused = Object.assign(new Error('not now'), { statusCode: 503 })

async function answerOf(promise: Promise<string>, answer: (reply: FastifyReply, value: string) => void) {
  const app = fastify()
  apps.push(app)
  const settled: boolean[] = []
  app.get('/', (_request, reply) => {
    answerWith(
      reply,
      promise,
      value => answer(reply, value),
      () => settled.push(reply.sent),
    )
  })
  const { statusCode, body } = await app.inject('/')
  return { statusCode, body, settled }
}

describe('an answer that is waited for', () => {
  const send = (reply: FastifyReply, value: string) => void reply.code(202).send(value)

  it('is sent when it is there', async () => {
    const answer = await answerOf(Promise.resolve('done'), send)
    expect(answer).toEqual({ statusCode: 202, body: 'done', settled: [false] })
  })

  it('is the error when there is none', async () => {
    const { statusCode, body, settled } = await answerOf(Promise.reject(refused), send)
    expect({ statusCode, settled }).toEqual({ statusCode: 503, settled: [false] })
    expect(JSON.parse(body).message).toBe('not now')
  })

  it('is the error of who sends it', async () => {
    const { statusCode, settled } = await answerOf(Promise.resolve('done'), () => {
      throw refused
    })
    expect({ statusCode, settled }).toEqual({ statusCode: 503, settled: [false] })
  })
})
