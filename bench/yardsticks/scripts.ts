/** The product's own scripts without HTTP: a pipelining client that polls and acknowledges as fast as Redis answers. */
import { Redis } from 'ioredis'
import { Epoch } from '../../src/store/epoch.ts'
import { keysFor } from '../../src/store/keys.ts'
import { scriptsOn } from '../../src/store/scripts.ts'
import { SetStore } from '../../src/store/set-store.ts'
import { answerCalls } from '../harness/child.ts'
import type { Watched } from '../harness/cpu.ts'
import { APPEND_LIMITS, fillWith } from '../harness/preload.ts'
import { fillerDigest, fillerJti, fillerSet } from '../harness/sets.ts'
import type { Window } from '../load/target.ts'
import { MeasuredWindow } from '../load/window.ts'

interface Input {
  readonly url: string
  readonly ids: readonly string[]
  readonly setsEach: number
  readonly connections: number
  readonly page: number
  readonly watched: Watched
}

const LIMITS = {
  redeliverAfterMs: 60_000,
  maxAttempts: 20,
  parkAfterMs: 86_400_000,
  expireAfterMs: 0,
  retainAckedMs: 0,
  dedupeWindowMs: 600_000,
}

async function drain(input: Input): Promise<Window> {
  const redis = new Redis(input.url, { enableAutoPipelining: true })
  const keys = keysFor('alone')
  const store = new SetStore(scriptsOn(redis), keys)
  for (const id of input.ids) await redis.hset(keys.of(id).receiver, 'status', 'enabled')
  await fillWith(store)(input.ids, input.setsEach)
  let sets = 0
  const window = new MeasuredWindow(input.watched)
  const poll = async (id: string) => {
    let ack: string[] = []
    for (;;) {
      const page = await store.poll(
        id,
        { ack, reports: [], limit: input.page, bytesMax: 4_194_304, idlePollsMax: 0, answeredAtOnce: true },
        LIMITS,
      )
      sets += page.sets.length
      if (page.sets.length === 0) return window.close(sets)
      ack = page.sets.map(set => set.jti)
    }
  }
  await Promise.all(Array.from({ length: input.connections }, (_, at) => poll(input.ids[at % input.ids.length]!)))
  redis.disconnect()
  return window.result
}

interface CallsInput {
  readonly url: string
  readonly ids: readonly string[]
  /** Calls for each receiver. */
  readonly setsEach: number
  readonly watched: Watched
}

/** A connection and a caller for each receiver, one SET a call. */
async function onConnectionsOfTheirOwn(
  input: CallsInput,
  prefix: string,
  work: (store: SetStore, id: string) => Promise<void>,
): Promise<void> {
  const connections = input.ids.map(() => new Redis(input.url))
  const keys = keysFor(prefix)
  for (const id of input.ids) await connections[0]!.hset(keys.of(id).receiver, 'status', 'enabled')
  await Promise.all(input.ids.map((id, at) => work(new SetStore(scriptsOn(connections[at]!), keys), id)))
  for (const connection of connections) connection.disconnect()
}

async function append(input: CallsInput): Promise<Window> {
  const set = fillerSet()
  const window = new MeasuredWindow(input.watched)
  await onConnectionsOfTheirOwn(input, 'appended', async (store, id) => {
    for (let at = 0; at < input.setsEach; at++) {
      await store.append(id, [{ jti: fillerJti(), set, digest: fillerDigest(), repeatable: true }], APPEND_LIMITS)
    }
  })
  window.close(input.setsEach * input.ids.length)
  return window.result
}

async function poll(input: CallsInput): Promise<Window> {
  let window: MeasuredWindow | undefined
  let polled = 0
  await onConnectionsOfTheirOwn(input, 'polled', async (store, id) => fillWith(store)([id], input.setsEach))
  await onConnectionsOfTheirOwn(input, 'polled', async (store, id) => {
    window ??= new MeasuredWindow(input.watched)
    for (let ack: string[] = []; ; polled++) {
      const page = await store.poll(
        id,
        { ack, reports: [], limit: 1, bytesMax: 4_194_304, idlePollsMax: 0, answeredAtOnce: true },
        LIMITS,
      )
      if (page.sets.length === 0) return window.close(polled)
      ack = page.sets.map(({ jti }) => jti)
    }
  })
  return window!.result
}

/** The read of what changed that goes with each publish, when nothing changed. */
async function epoch(input: CallsInput): Promise<Window> {
  const keys = keysFor('epoch')
  const connections = input.ids.map(() => new Redis(input.url))
  const [first] = connections
  const told = new Epoch(first!, keys)
  await told.tell({ kind: 'receiver', id: 'r0' })
  const version = await told.latest()
  const window = new MeasuredWindow(input.watched)
  await Promise.all(
    connections.map(async connection => {
      const reader = new Epoch(connection, keys)
      for (let at = 0; at < input.setsEach; at++) await reader.since(version)
    }),
  )
  window.close(input.setsEach * input.ids.length)
  for (const connection of connections) connection.disconnect()
  return window.result
}

answerCalls({ drain, append, poll, epoch })
