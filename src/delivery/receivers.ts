/** The registry of receivers as an operator uses it. Every change is told to all processes before it is answered. */
import { TransmitterError } from '../errors.ts'
import { clientName } from '../protocol/client-names.ts'
import {
  type Client,
  type ReceiverInput,
  type ReceiverPatch,
  validateReceiverInput,
  validateReceiverPatch,
} from '../protocol/receiver.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import type { ListPage, Receiver, ReceiverStore } from '../store/receiver-store.ts'
import type { Registry } from '../store/registry.ts'
import type { Retention } from './retention.ts'

export interface ReceiversDependencies {
  readonly store: ReceiverStore
  readonly registry: Registry
  readonly keys: Pick<KeyRing, 'algorithms'>
  readonly retention: Retention
}

/** Two writers that keep meeting is a fault of theirs; a few times is chance. */
const UPDATE_TRIES = 10

export class Receivers {
  readonly #deps: ReceiversDependencies

  constructor(deps: ReceiversDependencies) {
    this.#deps = deps
  }

  /** @throws {TransmitterError} bad_request with every fault, conflict */
  async create(input: unknown): Promise<Receiver> {
    const faults = validateReceiverInput(input)
    const valid = input as ReceiverInput
    if (faults.length === 0) faults.push(...this.#algorithmFaults(valid.settings?.signingAlg))
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The receiver is not valid.', { faults })
    await this.#requireOwnCertificates(valid.id, valid.clients)
    const receiver = await this.#deps.store.create(valid, Date.now())
    // Told in either case: if the id is taken because an earlier call died before it told, this heals it.
    await this.#deps.registry.tell({ kind: 'receiver', id: valid.id })
    if (receiver === undefined) throw new TransmitterError('conflict', 'This id is or was in use.')
    return receiver
  }

  /** @throws {TransmitterError} not_found */
  async get(id: string): Promise<Receiver> {
    const stored = await this.#deps.store.get(id)
    if (stored === undefined) throw unknownReceiver()
    return stored.receiver
  }

  /** A JSON merge patch (RFC 7396). @throws {TransmitterError} bad_request, not_found, conflict */
  async patch(id: string, patch: unknown): Promise<Receiver> {
    const faults = validateReceiverPatch(patch)
    const valid = patch as ReceiverPatch
    if (faults.length === 0) faults.push(...this.#algorithmFaults(valid.settings?.signingAlg ?? undefined))
    if (faults.length > 0) throw new TransmitterError('bad_request', 'The patch is not valid.', { faults })
    await this.#requireOwnCertificates(id, valid.clients ?? undefined)
    for (let attempt = 0; attempt < UPDATE_TRIES; attempt++) {
      const before = await this.#deps.store.get(id)
      if (before === undefined) throw unknownReceiver()
      const after = merge(before.receiver, valid)
      const outcome = await this.#deps.store.update(before, after)
      if (outcome === undefined) throw unknownReceiver()
      if (outcome === 'changed') continue
      await this.#deps.registry.tell({ kind: 'receiver', id })
      // A crash in here leaves the rest to the next pass of retention.
      if (after.status === 'disabled') await this.#deps.retention.parkAll(after)
      return after
    }
    throw new TransmitterError('conflict', 'The receiver keeps being changed by others. Try again.')
  }

  /** @throws {TransmitterError} not_found, conflict unless it is disabled or `force` is given */
  async remove(id: string, force: boolean): Promise<void> {
    const outcome = await this.#deps.store.remove(id, force)
    if (outcome === undefined) throw unknownReceiver()
    if (outcome === 'enabled') {
      throw new TransmitterError('conflict', 'Only a disabled receiver is deleted, or any with force=true.')
    }
    await this.#deps.registry.tell({ kind: 'receiver', id })
  }

  list(limit: number, cursor: string | undefined): Promise<ListPage<Receiver>> {
    return this.#deps.store.list(limit, cursor)
  }

  /**
   * A certificate stands for one receiver. Of two calls that give it to two at one moment neither is refused here; such a
   * certificate then stands for none.
   * @throws {TransmitterError} conflict
   */
  async #requireOwnCertificates(id: string, clients: readonly Client[] = []): Promise<void> {
    const certificates = clients.filter(client => !('oauthClientId' in client))
    if (certificates.length === 0) return
    const { registry } = this.#deps
    await registry.catchUp()
    for (const client of certificates) {
      const others = await registry.receiversOfClient(clientName(client))
      if ([...others].some(other => other !== id)) {
        throw new TransmitterError('conflict', 'A certificate of this receiver stands for another one.')
      }
    }
  }

  #algorithmFaults(alg: string | undefined) {
    if (alg === undefined || (this.#deps.keys.algorithms() as readonly string[]).includes(alg)) return []
    return [
      { at: '/settings/signingAlg', message: 'has no current signing key: make one with `setstream keys generate`' },
    ]
  }
}

export function unknownReceiver(): TransmitterError {
  return new TransmitterError('not_found', 'No such receiver.')
}

function merge(receiver: Receiver, patch: ReceiverPatch): Receiver {
  const { settings: settingsPatch, ...rest } = patch
  const settings = settingsPatch === null ? {} : withoutNulls({ ...receiver.settings, ...settingsPatch })
  return withoutNulls({ ...receiver, ...rest, settings, updatedAtMs: Date.now() }) as unknown as Receiver
}

function withoutNulls(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined))
}
