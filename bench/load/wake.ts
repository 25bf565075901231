/**
 * How long after a producer publishes a receiver's held poll is answered. Open loop: publishes leave on time whether or
 * not earlier ones were answered. Both ends are in this process, so that one clock measures.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { nextEvent } from './event.ts'
import { HttpConnection, post } from './http-connection.ts'
import { readPage } from './page.ts'
import type { WakeInput, Window } from './target.ts'
import { MeasuredWindow } from './window.ts'

/** Publishes that may be under way at once: more than a second's worth. */
const PRODUCERS_MAX = 256

export async function wake(input: WakeInput): Promise<Window> {
  const failed = Promise.withResolvers<never>()
  // Opened as they are needed: a server ends a connection that has nothing to say for long.
  const producers: HttpConnection[] = []
  let open = 0
  const takeProducer = async () => {
    for (let known = producers.pop(); known !== undefined; known = producers.pop()) {
      if (known.isOpen) return known
      open -= 1
    }
    open += 1
    if (open > PRODUCERS_MAX) throw new Error('publishing does not keep up with the rate asked for')
    return HttpConnection.open(input.internalPort)
  }
  const sentMs: number[] = new Array(input.feeds.length).fill(0)
  const receivers: HttpConnection[] = []
  let window: MeasuredWindow | undefined
  let answered = 0
  for (let at = 0; at < input.feeds.length; at++) {
    const connection = await HttpConnection.open(input.publicPort)
    receivers.push(connection)
    const { path, headers } = input.feeds[at]!
    const next = (ack: string) =>
      connection.send(post(path, headers, `{"maxEvents":10,"ack":[${ack}]}`), (status, body) => {
        const nowMs = performance.now()
        if (status !== 200)
          return failed.reject(new Error(`poll answered ${status}: ${body.toString('latin1', 0, 300)}`))
        const page = readPage(body)
        if (page.count > 0 && sentMs[at]! > 0) {
          window?.took(nowMs - sentMs[at]!)
          answered += 1
          sentMs[at] = 0
        }
        next(page.acks)
      })
    next('')
  }
  await pause(500) // Until all are held; what comes earlier would measure the opening of connections.
  window = new MeasuredWindow(input.watched)
  const total = input.perSecond * input.seconds
  const publishAll = async () => {
    for (let sent = 0; sent < total; sent++) {
      const dueMs = window.openedAtMs + (sent * 1000) / input.perSecond
      const earlyMs = dueMs - performance.now()
      if (earlyMs > 0) await pause(earlyMs)
      const producer = await takeProducer()
      const at = sent % input.feeds.length
      const request = post('/v1/events', input.publishHeaders, nextEvent(input.eventType, [input.ids[at]!]))
      sentMs[at] = performance.now()
      producer.send(request, (status, body) => {
        if (status !== 202) failed.reject(new Error(`publish answered ${status}: ${body.toString('latin1', 0, 300)}`))
        producers.push(producer)
      })
    }
    await pause(500) // For the last answers.
  }
  await Promise.race([publishAll(), failed.promise])
  window.close(answered, { unanswered: total - answered })
  for (const connection of [...producers, ...receivers]) connection.close()
  return window.result
}
