import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { embeddedAdminToken } from '../../src/embedded/admin-token.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = join(await mkdtemp(join(tmpdir(), 'setstream-token-')), 'data')
})
afterEach(() => rm(join(dataDir, '..'), { recursive: true, force: true }))

const never = () => {
  throw new Error('a token is stored already')
}

describe('the admin token of the embedded default', () => {
  it('is made at the first start, for this user alone to read, and used again at the next', async () => {
    const first = await embeddedAdminToken(dataDir, () => 'sst_first')
    expect(first).toEqual({ token: 'sst_first', path: join(dataDir, 'admin-token') })
    expect(await readFile(first.path, 'utf8')).toBe('sst_first\n')
    expect((await stat(first.path)).mode & 0o777).toBe(0o600)
    expect(await embeddedAdminToken(dataDir, never)).toEqual(first)
    expect(await readdir(dataDir)).toEqual(['admin-token'])
  })

  it('is one and the same for starts at the same moment', async () => {
    const names = ['a', 'b', 'c', 'd']
    const tokens = await Promise.all(names.map(name => embeddedAdminToken(dataDir, () => `sst_${name}`)))
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(1)
  })

  it('is closed to others again where a copy opened it', async () => {
    const { path } = await embeddedAdminToken(dataDir, () => 'sst_first')
    await chmod(path, 0o644)
    await embeddedAdminToken(dataDir, never)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('is never an empty one', async () => {
    const { path } = await embeddedAdminToken(dataDir, () => 'sst_first')
    await writeFile(path, '\n')
    await expect(embeddedAdminToken(dataDir, never)).rejects.toThrow(/admin-token is empty/)
  })

  it('says where it cannot be kept', async () => {
    await writeFile(join(dataDir, '..', 'file'), '')
    await expect(embeddedAdminToken(join(dataDir, '..', 'file'), () => 'sst_first')).rejects.toThrow(
      /^The admin token cannot be kept in .*admin-token: /,
    )
  })
})
