/** How bodies are taken: strictly as what they are said to be. Nothing is coerced, repaired or decompressed. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TransmitterError } from '../errors.ts'
import { decodeUtf8 } from '../protocol/json.ts'
import { parseJson } from '../protocol/json-parse.ts'

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
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const types = ['application/json', 'application/merge-patch+json']
  app.addContentTypeParser(types, { parseAs: 'buffer' }, (_request, body, done) => {
    // A DELETE with the header and no body is common.
    if (body.length === 0) return done(null, undefined)
    const text = decodeUtf8(body as Buffer)
    if (text === undefined) return done(new TransmitterError('bad_request', 'The body is not valid UTF-8.'))
    try {
      done(null, parseJson(text))
    } catch {
      done(new TransmitterError('bad_request', 'The body is not JSON.'))
    }
  })
  app.addContentTypeParser('application/secevent+jwt', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body.toString('latin1').trim())
  })
}
