/** A directory for the keys of one test, and key files as an operator would put them there. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { onTestFinished } from 'vitest'

/** A path that does not exist yet, in a directory that is removed after the test. */
export async function keysDir(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'setstream-keys-'))
  onTestFinished(() => rm(parent, { recursive: true, force: true }))
  return join(parent, 'keys')
}

export type KeyType = 'ec' | 'p384' | 'ed25519' | 'rsa2048' | 'rsa1024'

export function privateJwk(type: KeyType): JWK {
  const pair = {
    ec: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    ed25519: () => generateKeyPairSync('ed25519'),
    rsa2048: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    rsa1024: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
  }[type]()
  return pair.privateKey.export({ format: 'jwk' }) as JWK
}

/** Writes a key file with the members given, and returns its kid. */
export async function putKey(
  dir: string,
  jwk: JWK,
  members: Record<string, unknown> = {},
  mode = 0o600,
): Promise<string> {
  const kid = (members.kid as string | undefined) ?? (await calculateJwkThumbprint(jwk))
  const stored = { ...jwk, kid, use: 'sig', state: 'current', createdAtMs: 1, currentSinceMs: 1, ...members }
  await writeFile(join(dir, `${kid}.json`), JSON.stringify(stored), { mode })
  return kid
}

export async function storedKeys(dir: string): Promise<Record<string, unknown>[]> {
  const names = (await readdir(dir)).toSorted()
  return Promise.all(names.map(async name => JSON.parse(await readFile(join(dir, name), 'utf8'))))
}
