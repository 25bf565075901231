/**
 * One private key, one file: `<kid>.json`, a private JWK with `state` and times beside it, readable by its owner only.
 * Whatever is wrong with it refuses the start with one sentence, which names the file and no member of the key.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CompactSign,
  calculateJwkThumbprint,
  compactVerify,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'
import { SetupError } from '../errors.ts'
import { isSigningAlg, keyMisfit, publicMembers, SIGNING_ALGS, type SigningAlg } from './algorithms.ts'
import { KEY_STATES, type KeyState, type KeyTimes, type PublicKeyRecord } from './key-record.ts'

const KID = /^[A-Za-z0-9_-]{1,128}$/
const SUFFIX = '.json'

/** The content of a key file. */
export interface StoredKey extends JWK, KeyTimes {
  readonly kid: string
  readonly alg: SigningAlg
  readonly use: 'sig'
  readonly state: KeyState
}

export interface LoadedKey extends PublicKeyRecord {
  readonly key: KeyObject
  readonly thumbprint: string
}

/** @returns file name → content, of every key file. */
export async function readKeyFiles(dir: string): Promise<Map<string, string>> {
  let names: string[]
  try {
    names = await readdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw new SetupError(`KEYS_DIR ${dir} cannot be read: ${(error as NodeJS.ErrnoException).code}.`)
  }
  const files = new Map<string, string>()
  for (const name of names.filter(name => name.endsWith(SUFFIX) && !name.startsWith('.')).sort()) {
    files.set(name, await readPrivate(join(dir, name)))
  }
  return files
}

async function readPrivate(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    throw new SetupError(`Key ${path} cannot be read: ${error.code}.`)
  })
  try {
    // Of the opened file, not of its name: between two looks it could be another.
    const { mode } = await file.stat()
    if ((mode & 0o077) !== 0) throw new SetupError(`Key ${path} is open to others: chmod 600 it.`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** @throws {SetupError} */
export async function loadKey(name: string, text: string): Promise<LoadedKey> {
  const refuse = (why: string) => new SetupError(`Key file ${name}: ${why}.`)
  let jwk: Partial<StoredKey>
  try {
    jwk = JSON.parse(text)
  } catch {
    throw refuse('it is not JSON')
  }
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw refuse('it is not a JWK')
  const { kid, alg, state, createdAtMs, currentSinceMs, retiredAtMs } = jwk
  if (jwk.kty === 'oct') throw refuse('it is a shared secret, and SETs are signed with private keys only')
  if (!isSigningAlg(alg)) throw refuse(`alg has to be one of ${SIGNING_ALGS.join(', ')}`)
  if (typeof kid !== 'string' || !KID.test(kid)) throw refuse('kid has to be 1 to 128 characters of A-Z a-z 0-9 _ -')
  if (name !== kid + SUFFIX) throw refuse('its name has to be its kid and .json')
  if (jwk.use !== 'sig') throw refuse('use has to be sig')
  if (!KEY_STATES.includes(state as KeyState)) throw refuse(`state has to be one of ${KEY_STATES.join(', ')}`)
  if (![createdAtMs ?? 0, currentSinceMs ?? 0, retiredAtMs ?? 0].every(Number.isSafeInteger)) {
    throw refuse('its times have to be whole milliseconds')
  }
  const misfit = keyMisfit(jwk, alg)
  if (misfit !== undefined) throw refuse(misfit)
  if (typeof jwk.d !== 'string') throw refuse('it is not a private key')
  const members = publicMembers(jwk)
  const key = await importPair(members, { ...members, ...privateMembers(jwk) }, alg).catch(() => {
    throw refuse('it is damaged, or its public and private members are not one key')
  })
  return {
    kid,
    alg,
    state: state as KeyState,
    createdAtMs: createdAtMs ?? 0,
    ...(currentSinceMs === undefined ? {} : { currentSinceMs }),
    ...(retiredAtMs === undefined ? {} : { retiredAtMs }),
    jwk: { ...members, kid, alg, use: 'sig' },
    key,
    thumbprint: await calculateJwkThumbprint(members),
  }
}

/** @returns the private key, once the public one was seen to verify what it signs: that is what receivers will have. */
async function importPair(publicJwk: JWK, privateJwk: JWK, alg: SigningAlg): Promise<KeyObject> {
  const key = createPrivateKey({ key: privateJwk, format: 'jwk' })
  const probe = await new CompactSign(new Uint8Array()).setProtectedHeader({ alg }).sign(key)
  await compactVerify(probe, await importJWK(publicJwk, alg))
  return key
}

function privateMembers(jwk: Partial<StoredKey>): JWK {
  const members: JWK = {}
  for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
    const value = jwk[name]
    if (typeof value === 'string') members[name] = value
  }
  return members
}

export async function makeKey(alg: SigningAlg, state: KeyState, nowMs: number): Promise<StoredKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(privateKey)
  return {
    ...jwk,
    kid: await calculateJwkThumbprint(publicMembers(jwk)),
    alg,
    use: 'sig',
    state,
    createdAtMs: nowMs,
    ...(state === 'current' ? { currentSinceMs: nowMs } : {}),
  }
}

/** Written aside and renamed, so that no reader and no crash ever sees half a key. @returns its content. */
export async function writeKey(dir: string, key: StoredKey): Promise<string> {
  const text = `${JSON.stringify(key, null, 2)}\n`
  const path = join(dir, key.kid + SUFFIX)
  const aside = join(dir, `.${key.kid}.${process.pid}.tmp`)
  const file = await open(aside, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(aside, path)
  await syncDirectory(dir)
  return text
}

/** @returns the content written. */
export async function updateKey(dir: string, kid: string, changes: Partial<StoredKey>): Promise<string> {
  const stored = JSON.parse(await readPrivate(join(dir, kid + SUFFIX))) as StoredKey
  return writeKey(dir, { ...stored, ...changes })
}

export async function deleteKey(dir: string, kid: string): Promise<void> {
  await unlink(join(dir, kid + SUFFIX))
  await syncDirectory(dir)
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** @throws {SetupError} if others could put a key of theirs into the directory. */
export async function checkDirectory(dir: string): Promise<void> {
  const { mode } = await stat(dir)
  if ((mode & 0o022) !== 0) throw new SetupError(`KEYS_DIR ${dir} can be written by others: chmod 700 it.`)
}
