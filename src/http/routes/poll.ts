/** The polling endpoint: one POST settles the last batch and asks for the next. RFC 8936 §2.2, §2.3. */
import type { FastifyPluginAsync } from 'fastify'
import type { Poll, PollAnswer } from '../../delivery/poll.ts'
import { Presence } from '../../delivery/presence.ts'
import { TransmitterError } from '../../errors.ts'
import { parsePollRequest, parsePrefer, renderPage } from '../../protocol/poll.ts'
import type { Receiver } from '../../store/receiver-store.ts'
import type { Registry } from '../../store/registry.ts'
import { answerWith } from '../answering.ts'
import { type Authenticator, requireScope } from '../authenticate.ts'
import { refuseCoding } from '../bodies.ts'
import { deciding, withValue } from '../deciding.ts'
import { limitWriting, onClosed } from '../disconnect.ts'
import { poll as described } from '../schemas/receiving.ts'

export interface PollRouteOptions {
  readonly poll: Poll
  readonly registry: Registry
  readonly authenticator: Authenticator
  readonly writeTimeoutMs: number
}

declare module 'fastify' {
  interface FastifyRequest {
    receiver: Receiver | undefined
  }
}

export const pollRoute: FastifyPluginAsync<PollRouteOptions> = async (
  app,
  { poll, registry, authenticator, writeTimeoutMs },
) => {
  app.decorateRequest('receiver', undefined)

  // Decided before the body is read. Unknown and foreign look the same.
  const authorize = deciding(request =>
    withValue(authenticator.identifyReceiver(request), caller => {
      request.caller = caller
      requireScope(caller, 'poll')
      const { id } = request.params as { id: string }
      const found = caller.polls(id) ? (registry.knownReceiver(id) ?? registry.receiver(id)) : undefined
      return withValue(found, receiver => {
        if (receiver === undefined) throw new TransmitterError('not_found', 'No such receiver.')
        request.receiver = receiver
      })
    }),
  )

  app.post(
    '/receivers/:id/poll',
    {
      onRequest: [authorize, refuseCoding],
      schema: described,
    },
    (request, reply) => {
      const receiver = request.receiver as Receiver
      const presence = new Presence()
      let answer: PollAnswer | undefined
      onClosed(reply, {
        onWritten: () => answer?.bytes?.release(),
        onLeft: () => {
          presence.leave()
          if (answer !== undefined) poll.giveBack(receiver, answer.sets)
        },
      })
      const parsed = parsePollRequest((request.body as Buffer | undefined) ?? Buffer.alloc(0))
      // A held poll would keep the bytes, and the socket's buffer that they are a slice of.
      request.body = undefined
      const answering = poll.answer(receiver, {
        request: parsed,
        language: request.headers['content-language'] ?? '',
        preferredWaitMs: parsePrefer(request.headers.prefer as string | undefined),
        presence,
      })
      answerWith(reply, answering, page => {
        answer = page
        reply.type('application/json; charset=utf-8').send(renderPage(page))
        limitWriting(reply, writeTimeoutMs)
      })
    },
  )
}
