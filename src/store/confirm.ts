/**
 * What a 202 and an acknowledgement wait for (design, section 6): `written`, Redis took it; `fsynced`, it is on Redis's
 * disk; `replicated:N`, it is on N replicas as well.
 */
import { SetupError, TransmitterError } from '../errors.ts'
import type { RedisTarget } from './connection.ts'
import { storeFailure } from './failures.ts'
import { Topology } from './topology.ts'

export type ConfirmLevel = 'written' | 'fsynced' | { readonly replicas: number }

/** @param text as CONFIRM has it, checked by the configuration's pattern. */
export function confirmLevel(text: string): ConfirmLevel {
  const [level, replicas] = text.split(':')
  return replicas === undefined ? (level as 'written' | 'fsynced') : { replicas: Number(replicas) }
}

/**
 * For `fsynced`. With `appendfsync always` Redis answers nothing before it is on disk, so that checking it once is all that
 * has to be done. WAITAOF would wait for less: with everysec it was seen to answer before the data was on disk.
 * @throws {SetupError} where a master does otherwise, or will not say. @throws {TransmitterError} store_unavailable
 */
export async function requireFsync(target: RedisTarget): Promise<void> {
  const topology = new Topology(target)
  await topology.refresh()
  const masters = topology.masters()
  if (masters.length === 0) {
    throw new TransmitterError('store_unavailable', 'The store cannot be reached.', { retryAfterSeconds: 1 })
  }
  for (const address of masters) await requireFsyncOf(target, address)
}

async function requireFsyncOf(target: RedisTarget, address: string): Promise<void> {
  const node = target.openNode(address === '' ? undefined : address)
  try {
    const settings = new Map<string, string>()
    for (const name of ['appendonly', 'appendfsync']) {
      const [, value] = (await node.config('GET', name).catch(refusedOrAway)) as string[]
      settings.set(name, value ?? '')
    }
    if (settings.get('appendonly') === 'yes' && settings.get('appendfsync') === 'always') return
  } finally {
    node.disconnect()
  }
  throw new SetupError(
    'CONFIRM=fsynced needs a Redis with `appendonly yes` and `appendfsync always`: set both there, or choose another CONFIRM.',
  )
}

function refusedOrAway(error: unknown): never {
  const message = error instanceof Error ? error.message : ''
  if (/^(NOPERM|ERR unknown)/.test(message)) {
    throw new SetupError(
      'CONFIRM=fsynced cannot be checked: this Redis does not allow CONFIG GET. Allow it, or choose another CONFIRM.',
    )
  }
  storeFailure(error)
}
