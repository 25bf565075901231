/**
 * Notices that a client left before its answer was out. Not `request.signal`: in Fastify 5 it aborts at once on a POST
 * with a body. And not `writableEnded`, which is true as soon as `end()` was called.
 */
import type { FastifyReply } from 'fastify'

/** One of them is called, once: whether the response was written whole, or closed before. */
export function onClosed(reply: FastifyReply, { onWritten, onLeft }: { onWritten(): void; onLeft(): void }): void {
  reply.raw.once('close', () => {
    if (reply.raw.writableFinished) onWritten()
    else onLeft()
  })
}

/** Cuts off a client that does not read its answer. To be called once the answer was handed to the socket. */
export function limitWriting(reply: FastifyReply, timeoutMs: number): void {
  const { raw } = reply
  if (raw.writableFinished || raw.writableLength === 0) return
  const timer = setTimeout(() => raw.destroy(), timeoutMs)
  raw.once('close', () => clearTimeout(timer))
}
