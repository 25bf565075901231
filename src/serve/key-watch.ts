/** Notices changed key files, so that a rotation needs no restart: the new public keys are published, then signed with. */
import type { KeyRing } from '../signing/key-ring.ts'
import type { AuditStore } from '../store/audit-store.ts'
import type { KeyStore } from '../store/key-store.ts'
import type { Registry } from '../store/registry.ts'
import type { Logger } from '../telemetry/logger.ts'

const LOOK_EVERY_MS = 2000

/** Files are looked at by interval: mounted secrets are swapped by links, which watching a file does not see. */
export function watchKeys(deps: {
  readonly keyRing: KeyRing
  readonly keyStore: KeyStore
  readonly registry: Registry
  readonly audit: AuditStore
  readonly logger: Logger
}): () => void {
  const { keyRing, keyStore, registry, audit, logger } = deps
  let isPublished = true
  const look = async () => {
    const changed = await keyRing.reload()
    if (!changed && isPublished) return
    isPublished = false
    if ((await keyStore.publish(keyRing.publicKeys())) > 0) {
      await registry.tell({ kind: 'keys', id: '' })
      // Whoever changed the files did so on the machine itself, by `setstream keys` or by hand.
      const note = keyRing.publicKeys().map(({ kid, alg, state }) => `${kid} ${alg} ${state}`)
      await audit.add({
        who: 'key files',
        from: '',
        what: 'keys changed',
        target: '',
        status: 200,
        note: note.join(', '),
      })
    }
    isPublished = true
    logger.info(
      { keys: keyRing.publicKeys().map(({ kid, alg, state }) => ({ kid, alg, state })) },
      'signing keys changed',
    )
  }
  let timer: NodeJS.Timeout
  const tick = () => {
    look()
      // The keys in use stay in use; the fault is told each time until it is mended.
      .catch(error => logger.error({ err: error }, 'changed signing keys cannot be used yet'))
      .finally(() => {
        timer = setTimeout(tick, LOOK_EVERY_MS).unref()
      })
  }
  timer = setTimeout(tick, LOOK_EVERY_MS).unref()
  return () => clearTimeout(timer)
}
