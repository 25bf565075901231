/** Takes retired public keys out of the key set once nothing signed with them can still be delivered (P-180). */
import { keysThatMayLeave } from '../signing/retirement.ts'
import type { KeyStore } from '../store/key-store.ts'
import type { Registry } from '../store/registry.ts'
import type { SetReader } from '../store/set-reader.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface KeyRetirementDependencies {
  readonly keyStore: KeyStore
  readonly registry: Registry
  readonly reader: SetReader
  readonly logger: Logger
}

export class KeyRetirement {
  readonly #deps: KeyRetirementDependencies

  constructor(deps: KeyRetirementDependencies) {
    this.#deps = deps
  }

  /** @returns the kids that left. Looks at the logs only if there is a retired key at all. */
  async pass(nowMs: number): Promise<readonly string[]> {
    const { keyStore, registry, logger } = this.#deps
    const records = await keyStore.all()
    if (!records.some(({ state }) => state === 'retired')) return []
    const kids = keysThatMayLeave(records, await this.#oldestSetMs(), nowMs)
    if (kids.length === 0) return []
    await keyStore.remove(kids)
    await registry.tell({ kind: 'keys', id: '' })
    logger.info({ kids }, 'retired keys left the key set')
    return kids
  }

  async #oldestSetMs(): Promise<number | undefined> {
    let oldest: number | undefined
    for (const { id } of await this.#deps.registry.every()) {
      const ms = await this.#deps.reader.oldestMs(id)
      if (ms !== undefined && (oldest === undefined || ms < oldest)) oldest = ms
    }
    return oldest
  }
}
