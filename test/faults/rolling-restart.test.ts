/**
 * A rolling restart under load, behind a balancer that follows readiness as Kubernetes and others do: no poll and no publish
 * fails but by connections that end, which the client libraries hide (guarantee 8).
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { createProducer } from '../../src/client/producer.ts'
import { createReceiver, PollError, type ReceiverProblem } from '../../src/client/receiver.ts'
import { HAPPENED } from '../support/foreign-set.ts'
import { redisUrl, testPrefix } from '../support/redis.ts'
import { startTransmitter } from '../support/transmitter.ts'
import { startProcess, type TransmitterProcess } from '../support/transmitter-process.ts'
import { until } from '../support/until.ts'

const RECEIVERS = 6
const LOOK_EVERY_MS = 50
const LOOKS = 2

const ADMIN_TOKEN = 'sst_test_administrator'
const prefix = testPrefix()
// Registers receivers, and is no part of the fleet.
const office = await startTransmitter({ KEY_PREFIX: prefix }, ['internal'])
const env = {
  REDIS_URL: redisUrl(),
  KEY_PREFIX: prefix,
  KEYS_DIR: office.keysDir,
  ISSUER: office.issuer,
  ADMIN_TOKEN,
  LOG_LEVEL: 'info',
  // As long as a balancer needs to hear of it.
  DRAIN_DELAY_MS: String(LOOK_EVERY_MS * (LOOKS + 2)),
  POLL_WAIT_MS: '5000',
}

/** The fleet as a balancer sees it: a member takes new connections while it is ready. */
class Balancer {
  readonly #members = new Set<{ process: TransmitterProcess; isReady: boolean; unready: number }>()
  readonly #timer = setInterval(() => void this.#look(), LOOK_EVERY_MS)
  #turn = 0

  async add(process: TransmitterProcess): Promise<void> {
    const member = { process, isReady: false, unready: 0 }
    this.#members.add(member)
    await until('the new process takes connections', () => member.isReady)
  }

  remove(process: TransmitterProcess): void {
    for (const member of this.#members) if (member.process === process) this.#members.delete(member)
  }

  next(): TransmitterProcess | undefined {
    const ready = [...this.#members].filter(({ isReady }) => isReady)
    return ready[this.#turn++ % ready.length]?.process
  }

  /** One address for one listener of all members. */
  async open(listener: 'publicUrl' | 'internalUrl'): Promise<string> {
    const sockets = new Set<Socket>()
    const server = createServer(client => {
      const member = this.next()
      if (member === undefined) return void client.destroy()
      const { hostname, port } = new URL(member[listener])
      const upstream = connect(Number(port), hostname)
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(socket)
        socket.on('error', () => other.destroy()).on('close', () => sockets.delete(socket))
        socket.pipe(other)
      }
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    afterAll(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
      clearInterval(this.#timer)
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async #look(): Promise<void> {
    for (const member of this.#members) {
      const isReady = await fetch(`${member.process.opsUrl}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
      member.unready = isReady ? 0 : member.unready + 1
      member.isReady = isReady || (member.isReady && member.unready < LOOKS)
    }
  }
}

async function follow(id: string, publicUrl: string, problems: ReceiverProblem[], signal: AbortSignal) {
  const { token, audience } = await office.addReceiver(id)
  const seen = new Set<string>()
  const receiver = createReceiver({
    pollUrl: `${publicUrl}/receivers/${id}/poll`,
    token,
    audience,
    issuers: [{ issuer: office.issuer, jwksUrl: `${publicUrl}/.well-known/jwks.json` }],
    onProblem: problem => problems.push(problem),
  })
  return { seen, ended: receiver.run(async ({ jti }) => void seen.add(jti), { signal }) }
}

it('fails no poll and no publish, and every event arrives', { timeout: 90_000 }, async () => {
  const balancer = new Balancer()
  const publicUrl = await balancer.open('publicUrl')
  const internalUrl = await balancer.open('internalUrl')
  const start = async () => {
    const process = await startProcess(env, ['public', 'internal', 'workers'])
    await balancer.add(process)
    return process
  }
  const fleet = [await start(), await start()]

  const stop = new AbortController()
  const problems: ReceiverProblem[] = []
  const ids = Array.from({ length: RECEIVERS }, (_, i) => `rolling-${i}`)
  const receivers = await Promise.all(ids.map(id => follow(id, publicUrl, problems, stop.signal)))
  const producer = createProducer({ url: internalUrl, token: ADMIN_TOKEN })
  const published = new Set<string>()
  let isRolling = true
  const publishing = (async () => {
    for (let i = 0; isRolling; i++) {
      const { deliveries } = await producer.publish({ id: `event-${i}`, receivers: ids, events: { [HAPPENED]: {} } })
      for (const { jti } of deliveries) published.add(jti)
    }
  })()

  for (const old of fleet) {
    await until('events flow', sinceNow(published))
    await start()
    const code = await old.terminate()
    balancer.remove(old)
    expect(code).toBe(0)
    expect(old.lines.at(-1)).toMatchObject({ msg: 'stopped' })
  }
  await until('events flow', sinceNow(published))
  isRolling = false
  await publishing
  await producer.close()
  await until(
    'every SET has arrived',
    () => receivers.reduce((sum, { seen }) => sum + seen.size, 0) === published.size,
    20_000,
  )
  stop.abort()
  await Promise.all(receivers.map(({ ended }) => ended))

  const seen = new Set(receivers.flatMap(({ seen }) => [...seen]))
  expect(seen).toEqual(published)
  // A connection may end; no answer says that something is wrong, and nothing else goes wrong.
  const answered = problems.filter(problem => problem.kind !== 'poll_failed' || problem.error instanceof PollError)
  expect(answered).toEqual([])
})

/** True once something was added. */
function sinceNow(set: ReadonlySet<string>): () => boolean {
  const before = set.size
  return () => set.size > before + 50
}
