/** Redis PUBLISH to a subscriber, both in this process: the least that a wake-up through Redis can take. */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { answerCalls } from '../harness/child.ts'
import type { Watched } from '../harness/cpu.ts'
import type { Window } from '../load/target.ts'
import { MeasuredWindow } from '../load/window.ts'

interface Input {
  readonly url: string
  readonly channels: number
  readonly perSecond: number
  readonly seconds: number
  readonly watched: Watched
}

async function notify(input: Input): Promise<Window> {
  const publisher = new Redis(input.url)
  const subscriber = new Redis(input.url)
  const names = Array.from({ length: input.channels }, (_, at) => `yardstick:${at}`)
  await subscriber.subscribe(...names)
  const sentMs = new Map<string, number>()
  let received = 0
  const window = new MeasuredWindow(input.watched)
  subscriber.on('message', channel => {
    window.took(performance.now() - sentMs.get(channel)!)
    received += 1
  })
  const total = input.perSecond * input.seconds
  for (let sent = 0; sent < total; sent++) {
    const dueMs = window.openedAtMs + (sent * 1000) / input.perSecond
    const earlyMs = dueMs - performance.now()
    if (earlyMs > 0) await pause(earlyMs)
    const name = names[sent % names.length]!
    sentMs.set(name, performance.now())
    void publisher.publish(name, '')
  }
  await pause(200)
  window.close(received)
  publisher.disconnect()
  subscriber.disconnect()
  return window.result
}

answerCalls({ notify })
