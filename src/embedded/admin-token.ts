/** The admin token of the embedded default: made once, kept in DATA_DIR, readable by this user alone. */
import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SetupError } from '../errors.ts'

export interface StoredAdminToken {
  readonly token: string
  readonly path: string
}

/**
 * @param generate makes a new token; called where none is stored yet.
 * @throws {SetupError} where the file cannot be used.
 */
export async function embeddedAdminToken(dataDir: string, generate: () => string): Promise<StoredAdminToken> {
  const path = join(resolve(dataDir), 'admin-token')
  try {
    await mkdir(resolve(dataDir), { recursive: true, mode: 0o700 })
    const token = (await read(path)) ?? (await create(path, generate()))
    if (token === '') throw new SetupError(`${path} is empty: remove it, and the next start makes a new admin token.`)
    return { token, path }
  } catch (error) {
    if (error instanceof SetupError) throw error
    throw new SetupError(`The admin token cannot be kept in ${path}: ${(error as Error).message}`)
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    const token = (await readFile(path, 'utf8')).trim()
    // A copy or a restored backup may have let others in.
    if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600)
    return token
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Of two processes that start at once, both use the token of the first: a link appears whole or not at all. */
async function create(path: string, token: string): Promise<string> {
  const temporary = `${path}.${randomUUID()}.tmp`
  const text = `${token}\n`
  await writeFile(temporary, text, { mode: 0o600 })
  try {
    await link(temporary, path).catch(error => {
      if (!['EPERM', 'ENOSYS', 'ENOTSUP'].includes(error.code)) throw error
      // A file system without links.
      return writeFile(path, text, { mode: 0o600, flag: 'wx' })
    })
    return token
  } catch (error) {
    const stored = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await read(path) : undefined
    if (stored === undefined) throw error
    return stored
  } finally {
    await rm(temporary, { force: true })
  }
}
