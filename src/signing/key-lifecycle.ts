/**
 * What an operator does to keys: make, rotate, retire, delete. Each is one or two files written whole, in an order in
 * which a crash leaves a ring that loads. Running processes notice by reading the files again.
 */
import { mkdir } from 'node:fs/promises'
import { SetupError } from '../errors.ts'
import type { SigningAlg } from './algorithms.ts'
import { JWKS_MAX_AGE_SECONDS } from './jwks.ts'
import { deleteKey, loadKey, makeKey, readKeyFiles, type StoredKey, updateKey, writeKey } from './key-file.ts'
import type { PublicKeyRecord } from './key-record.ts'
import { loadKeys, publicRecord } from './key-ring.ts'

/**
 * How long a key is published before it signs (P-180): the time for which a receiver may keep the key set it has, and
 * a minute for every process to have read the files and published what it found.
 */
export const NEXT_PUBLISHED_MS = (JWKS_MAX_AGE_SECONDS + 60) * 1000

export async function listKeys(dir: string): Promise<PublicKeyRecord[]> {
  const keys = await loadKeys(await readKeyFiles(dir))
  return keys.map(publicRecord)
}

/** Makes the very first key of a directory the current one, since nobody can have a key set without it, and any other next. */
export async function generateKey(dir: string, alg: SigningAlg, nowMs: number): Promise<PublicKeyRecord> {
  const keys = await listKeys(dir)
  const waiting = keys.find(key => key.alg === alg && key.state === 'next')
  if (waiting !== undefined) throw new SetupError(`There already is a next key for ${alg}: ${waiting.kid}.`)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  return write(dir, await makeKey(alg, keys.length === 0 ? 'current' : 'next', nowMs))
}

export interface Rotation {
  readonly current: PublicKeyRecord
  readonly retired: PublicKeyRecord | undefined
}

export interface RotateOptions {
  readonly dir: string
  readonly alg: SigningAlg
  readonly nowMs: number
  /** Sign with the next key at once, as when the current one is compromised: receivers may fail to verify for a while. */
  readonly force?: boolean
}

/** The next key signs from now on, and the one before it verifies what it signed. */
export async function rotateKey({ dir, alg, nowMs, force = false }: RotateOptions): Promise<Rotation> {
  await settleFiles(dir)
  const keys = (await listKeys(dir)).filter(key => key.alg === alg)
  const next = keys.find(key => key.state === 'next')
  const before = keys.find(key => key.state === 'current')
  if (next === undefined)
    throw new SetupError(`There is no next key for ${alg}: generate one, and rotate when it is known.`)
  const waitMs = next.createdAtMs + NEXT_PUBLISHED_MS - nowMs
  if (waitMs > 0 && !force) {
    const seconds = Math.ceil(waitMs / 1000)
    throw new SetupError(`Receivers may not know the next key for ${alg} yet: rotate in ${seconds} s, or force it.`)
  }
  // In this order: a crash between the two leaves two current keys, of which the newer signs.
  const current = await update(dir, next.kid, { state: 'current', currentSinceMs: nowMs })
  const retired = before && (await update(dir, before.kid, { state: 'retired', retiredAtMs: nowMs }))
  return { current, retired }
}

/** @param force also if nothing is left to sign with, as when an algorithm is given up. */
export async function retireKey(dir: string, kid: string, nowMs: number, force = false): Promise<PublicKeyRecord> {
  await settleFiles(dir)
  const key = await find(dir, kid)
  if (key.state === 'retired') return key
  if (key.state === 'current' && !force) {
    throw new SetupError(`${kid} is the current key for ${key.alg}: rotate it, or force it and have none.`)
  }
  return update(dir, kid, { state: 'retired', retiredAtMs: nowMs })
}

/** Takes the private key away for good. What it signed can be verified as long as its public key is published. */
export async function deleteRetiredKey(dir: string, kid: string): Promise<void> {
  const key = await find(dir, kid)
  if (key.state !== 'retired') throw new SetupError(`${kid} is ${key.state}: only a retired key can be deleted.`)
  await deleteKey(dir, kid)
}

/** Writes down which of several current keys count as retired, before the one that outshines them goes. */
async function settleFiles(dir: string): Promise<void> {
  for (const { kid, state, retiredAtMs } of await listKeys(dir)) {
    if (state === 'retired' && retiredAtMs !== undefined) await update(dir, kid, { state, retiredAtMs })
  }
}

async function find(dir: string, kid: string): Promise<PublicKeyRecord> {
  const key = (await listKeys(dir)).find(key => key.kid === kid)
  if (key === undefined) throw new SetupError('There is no key of that kid.')
  return key
}

async function update(dir: string, kid: string, changes: Partial<StoredKey>): Promise<PublicKeyRecord> {
  return publicRecord(await loadKey(`${kid}.json`, await updateKey(dir, kid, changes)))
}

async function write(dir: string, key: StoredKey): Promise<PublicKeyRecord> {
  return publicRecord(await loadKey(`${key.kid}.json`, await writeKey(dir, key)))
}
