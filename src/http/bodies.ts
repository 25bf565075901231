/** How bodies are taken: strictly as what they are said to be. Nothing is coerced, repaired or decompressed. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TransmitterError } from '../errors.ts'
import { decodeUtf8 } from '../protocol/json.ts'
import { parseJson } from '../protocol/json-parse.ts'
import type { RequestMessage } from './request-message.ts'

/** A coded body is refused before it is read, so no bomb is ever unpacked. */
export function refuseCoding(
  { headers }: FastifyRequest,
  _reply: FastifyReply,
  done: (refusal?: TransmitterError) => void,
): void {
  const coding = headers['content-encoding']
  const isCoded = coding !== undefined && coding.toLowerCase() !== 'identity'
  done(isCoded ? new TransmitterError('coding_unsupported', 'Content codings are not supported.') : undefined)
}

/** The bytes as they came: the poll parser checks and reads them in one go. */
export function takeRawJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  takeWhole(app, ['application/json'], body => body)
}

export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  takeWhole(app, ['application/json', 'application/merge-patch+json'], body => {
    // A DELETE with the header and no body is common.
    if (body.length === 0) return undefined
    const text = decodeUtf8(body)
    if (text === undefined) throw new TransmitterError('bad_request', 'The body is not valid UTF-8.')
    try {
      return parseJson(text)
    } catch {
      throw new TransmitterError('bad_request', 'The body is not JSON.')
    }
  })
  takeWhole(app, ['application/secevent+jwt'], body => body.toString('latin1').trim())
}

/** @param parse throws what the request is refused with. */
function takeWhole(app: FastifyInstance, types: string[], parse: (body: Buffer) => unknown): void {
  // No route has a limit of its own, and Fastify makes an object each time it is asked for a route's.
  const maxBytes = app.initialConfig.bodyLimit as number
  app.addContentTypeParser(types, (_request: FastifyRequest, message: IncomingMessage, done) => {
    ;(message as RequestMessage).takeBody(maxBytes, (error, body) => {
      if (error !== undefined) return done(error)
      let parsed: unknown
      try {
        parsed = parse(body)
      } catch (refusal) {
        return done(refusal as TransmitterError)
      }
      done(null, parsed)
    })
  })
}
