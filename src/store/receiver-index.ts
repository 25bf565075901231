/** Every receiver in memory, and those that a client speaks for or that take an event, without looking through all. */
import { clientName } from '../protocol/client-names.ts'
import type { Receiver } from './receiver-store.ts'

const NOBODY: ReadonlySet<string> = new Set()

export class ReceiverIndex {
  readonly #receivers = new Map<string, Receiver>()
  /** Name of a client → receivers that list it. */
  readonly #byClient = new Map<string, Set<string>>()
  /** Event type, or `*` → receivers subscribed to it. */
  readonly #byEventType = new Map<string, Set<string>>()

  /** Replaces what was known of it. */
  keep(receiver: Receiver): void {
    this.forget(receiver.id)
    this.#receivers.set(receiver.id, receiver)
    for (const client of receiver.clients ?? []) put(this.#byClient, clientName(client), receiver.id)
    for (const type of receiver.eventTypes) put(this.#byEventType, type, receiver.id)
  }

  forget(id: string): void {
    const receiver = this.#receivers.get(id)
    if (receiver === undefined) return
    for (const client of receiver.clients ?? []) take(this.#byClient, clientName(client), id)
    for (const type of receiver.eventTypes) take(this.#byEventType, type, id)
    this.#receivers.delete(id)
  }

  all(): Receiver[] {
    return [...this.#receivers.values()]
  }

  ofClient(name: string): ReadonlySet<string> {
    return this.#byClient.get(name) ?? NOBODY
  }

  /** Those that take an event of any of these types; none that is disabled. */
  subscribers(eventTypes: readonly string[]): Receiver[] {
    const found = new Map<string, Receiver>()
    for (const type of ['*', ...eventTypes]) {
      for (const id of this.#byEventType.get(type) ?? NOBODY) {
        const receiver = this.#receivers.get(id)
        if (receiver !== undefined && receiver.status !== 'disabled') found.set(id, receiver)
      }
    }
    return [...found.values()]
  }
}

function put(index: Map<string, Set<string>>, name: string, id: string): void {
  const ids = index.get(name)
  if (ids === undefined) index.set(name, new Set([id]))
  else ids.add(id)
}

function take(index: Map<string, Set<string>>, name: string, id: string): void {
  const ids = index.get(name)
  ids?.delete(id)
  if (ids?.size === 0) index.delete(name)
}
