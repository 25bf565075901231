/** Every process's public keys, and the key set document made of them; read again when the registry says so. */

import { jwksDocument } from '../signing/jwks.ts'
import type { PublicKeyRecord } from '../signing/key-ring.ts'
import type { KeyStore } from '../store/key-store.ts'
import type { Registry } from '../store/registry.ts'

const AGE_MAX_MS = 10_000

export class PublicKeys {
  readonly #store: KeyStore
  #cached: { records: readonly PublicKeyRecord[]; document: string; readAtMs: number } | undefined

  constructor(store: KeyStore, registry: Registry) {
    this.#store = store
    registry.onChange(({ kind }) => {
      if (kind === 'keys') this.#cached = undefined
    })
  }

  async records(): Promise<readonly PublicKeyRecord[]> {
    return (await this.#read()).records
  }

  async document(): Promise<string> {
    return (await this.#read()).document
  }

  async #read() {
    const cached = this.#cached
    if (cached !== undefined && Date.now() - cached.readAtMs < AGE_MAX_MS) return cached
    const records = await this.#store.all()
    this.#cached = { records, document: jwksDocument(records), readAtMs: Date.now() }
    return this.#cached
  }
}
