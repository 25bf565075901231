/**
 * Which server answers for a key: for what has to know the connection it uses, such as subscriptions and WAIT. A single
 * server and Sentinel are one place, whose address is ''. In Cluster the slots are learnt from what nodes say of them.
 */
import type { RedisTarget } from './connection.ts'

const SLOTS = 16_384
/** Nodes asked for the slots before the question is given up for now. */
const NODES_ASKED_MAX = 5

type SlotRange = readonly [from: number, to: number, master: readonly [host: string, port: number, ...unknown[]]]

export class Topology {
  readonly #target: RedisTarget
  #addresses: (string | undefined)[] = []
  #refreshing: Promise<void> | undefined

  constructor(target: RedisTarget) {
    this.#target = target
  }

  /** '' is wherever the URL leads: the only server, or any node, which tells where to go. */
  addressOf(key: string): string {
    return this.#target.kind === 'cluster' ? (this.#addresses[slotOf(key)] ?? '') : ''
  }

  /** Addresses of the masters that are known; one '' outside Cluster. */
  masters(): string[] {
    if (this.#target.kind !== 'cluster') return ['']
    return [...new Set(this.#addresses.filter(address => address !== undefined))]
  }

  /** @returns whether the error told where a slot is now. */
  learn(error: unknown): boolean {
    const match = /^MOVED (\d{1,5}) ([^?\s]+:\d+)$/.exec(error instanceof Error ? error.message : '')
    if (match === null || Number(match[1]) >= SLOTS) return false
    this.#addresses[Number(match[1])] = match[2] as string
    return true
  }

  /** Asks for all slots anew. Calls made meanwhile share the answer; failing leaves what is known. */
  refresh(): Promise<void> {
    if (this.#target.kind !== 'cluster') return Promise.resolve()
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #ask(): Promise<void> {
    // Those that the URL names first: the others may have left together.
    const asked = [undefined, undefined, undefined, ...this.masters()].slice(0, NODES_ASKED_MAX)
    for (const address of asked) {
      const node = this.#target.openNode(address)
      try {
        const ranges = (await node.cluster('SLOTS')) as unknown as SlotRange[]
        const addresses: (string | undefined)[] = new Array(SLOTS)
        for (const [from, to, [host, port]] of ranges) if (host) addresses.fill(`${host}:${port}`, from, to + 1)
        this.#addresses = addresses
        return
      } catch {
        // The next one may know.
      } finally {
        node.disconnect()
      }
    }
  }
}

/** CRC-16/XMODEM of the hash tag, or of the whole key (Redis Cluster specification). */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  const hashed = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)
  let crc = 0
  for (const byte of hashed) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc % SLOTS
}
