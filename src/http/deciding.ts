/**
 * A hook that decides about a request before its body is read, at once where it can: most credentials and receivers are
 * known, and promises show in what a request costs (docs/performance.md).
 */
import type { FastifyReply, FastifyRequest } from 'fastify'

/** @param decide throws, or rejects with, what the request is refused with. */
export function deciding(decide: (request: FastifyRequest) => void | Promise<void>) {
  return (request: FastifyRequest, _reply: FastifyReply, done: (refusal?: Error) => void): void => {
    let decision: void | Promise<void>
    try {
      decision = decide(request)
    } catch (refusal) {
      done(asError(refusal))
      return
    }
    if (decision === undefined) done()
    else
      decision.then(
        () => done(),
        refusal => done(asError(refusal)),
      )
  }
}

/** Whatever was thrown: called without an error, the request would go on. */
function asError(refusal: unknown): Error {
  return refusal instanceof Error ? refusal : new Error('The request was refused without an error.', { cause: refusal })
}

/** Goes on with a value that is there, or that is waited for. */
export function withValue<Value, Result>(
  value: Value | Promise<Value>,
  goOn: (value: Value) => Result | Promise<Result>,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(goOn) : goOn(value)
}
