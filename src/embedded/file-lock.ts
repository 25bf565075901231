/**
 * A lock on a file that the kernel gives back when its holder dies, however it dies. Node has none of its own; SQLite's
 * locks are such locks on every system it runs on, so an empty database that is never written to serves as one.
 */
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { SetupError } from '../errors.ts'

const SQLITE_BUSY = 5
const LOOK_MS = 20

/** A lock that is held until `release`. */
export interface FileLock {
  release(): void
}

/** @returns undefined where another holder, shared or exclusive, has it. */
export function tryExclusive(path: string): FileLock | undefined {
  return tryLock(path, 'BEGIN EXCLUSIVE')
}

/** @returns undefined where an exclusive holder has it. */
export function tryShared(path: string): FileLock | undefined {
  // A transaction takes its shared lock at the first read, and keeps it.
  return tryLock(path, 'BEGIN; SELECT count(*) FROM sqlite_schema')
}

/** Runs `step` alone, over all processes. @throws {SetupError} `busy`, where others keep the lock beyond the limit. */
export async function whileExclusive<T>(
  path: string,
  limitMs: number,
  busy: string,
  step: () => Promise<T>,
): Promise<T> {
  const deadlineMs = Date.now() + limitMs
  let lock = tryExclusive(path)
  while (lock === undefined) {
    if (Date.now() > deadlineMs) throw new SetupError(busy)
    await delay(LOOK_MS)
    lock = tryExclusive(path)
  }
  try {
    return await step()
  } finally {
    lock.release()
  }
}

function tryLock(path: string, sql: string): FileLock | undefined {
  let database: DatabaseSync | undefined
  try {
    const opened = new DatabaseSync(path, { timeout: 0 })
    database = opened
    opened.exec(sql)
    return { release: () => opened.close() }
  } catch (error) {
    database?.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
    throw new SetupError(`${path} cannot be locked: ${(error as Error).message}`)
  }
}
