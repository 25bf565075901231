/**
 * The signing keys of a process: one current key an algorithm, and those before and after it.
 * Keys are files, so that they can be mounted; the ring reads them again when asked, and a ring that cannot be read
 * leaves the one in use as it is.
 */
import type { KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { SetupError } from '../errors.ts'
import type { SigningAlg } from './algorithms.ts'
import { checkDirectory, type LoadedKey, loadKey, makeKey, readKeyFiles, writeKey } from './key-file.ts'
import { type PublicKeyRecord, settleStates } from './key-record.ts'

export { SIGNING_ALGS, type SigningAlg } from './algorithms.ts'
export type { KeyState, PublicKeyRecord } from './key-record.ts'

export interface KeyRingOptions {
  readonly dir: string
  /** Algorithm of a receiver that asks for none. */
  readonly alg: SigningAlg
  /** Make up a current key for `alg` if there is none; otherwise its lack refuses the start. */
  readonly generate: boolean
}

export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlg
  readonly key: KeyObject
}

export interface KeyRing {
  /** @throws {SetupError} if no key for `alg` is current: see `algorithms`. */
  signingKey(alg?: SigningAlg): SigningKey
  /** Those that a receiver may ask for now. */
  algorithms(): readonly SigningAlg[]
  publicKeys(): readonly PublicKeyRecord[]
  /** Reads the files again. @returns true if anything changed. @throws {SetupError} and keeps what it had. */
  reload(): Promise<boolean>
}

/** @throws {SetupError} one sentence for what is wrong with the keys. */
export async function openKeyRing({ dir, alg, generate }: KeyRingOptions): Promise<KeyRing> {
  let files = await readKeyFiles(dir)
  let keys = await loadKeys(files)
  if (generate && !keys.some(key => key.alg === alg && key.state === 'current')) {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeKey(dir, await makeKey(alg, 'current', Date.now()))
    files = await readKeyFiles(dir)
    keys = await loadKeys(files)
  }
  requireCurrent(keys, alg, dir)
  await checkDirectory(dir)

  return {
    signingKey(wanted = alg) {
      const key = keys.find(key => key.alg === wanted && key.state === 'current')
      if (key === undefined) throw new SetupError(`There is no current signing key for ${wanted}.`)
      return key
    },
    algorithms: () => keys.filter(key => key.state === 'current').map(key => key.alg),
    publicKeys: () => keys.map(publicRecord),
    async reload() {
      const read = await readKeyFiles(dir)
      if (read.size === files.size && [...read].every(([name, text]) => files.get(name) === text)) return false
      const loaded = await loadKeys(read)
      requireCurrent(loaded, alg, dir)
      files = read
      keys = loaded
      return true
    },
  }
}

export async function loadKeys(files: ReadonlyMap<string, string>): Promise<LoadedKey[]> {
  const keys: LoadedKey[] = []
  for (const [name, text] of files) {
    const key = await loadKey(name, text)
    // One key, one algorithm (RFC 8725 §3.1): a signature of one could be made to count for the other.
    const twin = keys.find(other => other.thumbprint === key.thumbprint)
    if (twin !== undefined) throw new SetupError(`Key files ${twin.kid}.json and ${name} hold the same key.`)
    keys.push(key)
  }
  return settleStates(keys)
}

function requireCurrent(keys: readonly LoadedKey[], alg: SigningAlg, dir: string): void {
  if (keys.some(key => key.alg === alg && key.state === 'current')) return
  throw new SetupError(
    `KEYS_DIR ${dir} has no current signing key for ${alg}: make one with \`setstream keys generate --alg ${alg}\`.`,
  )
}

/** Without the private key, whatever else a loaded key holds. */
export function publicRecord(key: PublicKeyRecord): PublicKeyRecord {
  const { kid, alg, state, jwk, createdAtMs, currentSinceMs, retiredAtMs } = key
  return {
    kid,
    alg,
    state,
    jwk,
    createdAtMs,
    ...(currentSinceMs === undefined ? {} : { currentSinceMs }),
    ...(retiredAtMs === undefined ? {} : { retiredAtMs }),
  }
}
