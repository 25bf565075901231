import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { ServerBinary } from '../../src/embedded/probe.ts'
import { startEmbeddedRedis } from '../../src/embedded/server.ts'

interface Found {
  readonly binary?: ServerBinary
  readonly error?: { readonly name: string; readonly message: string }
  readonly lines: readonly string[]
}

const run = promisify(execFile)
const FIND = fileURLToPath(new URL('../support/embedded-find.ts', import.meta.url))
const NOBODY = 65_534

let directory: string
/** All of this machine's programs but its Redis. */
let withoutRedis: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'setstream-find-'))
  await chmod(directory, 0o755)
  withoutRedis = await folder('programs')
  for (const place of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of await readdir(place).catch(() => [])) {
      const link = join(withoutRedis, name)
      if (!/^(redis|valkey)/.test(name) && !existsSync(link)) await symlink(join(place, name), link)
    }
  }
})

afterAll(() => rm(directory, { recursive: true, force: true }))

async function folder(name: string): Promise<string> {
  const path = join(directory, name)
  await mkdir(path)
  return path
}

/** A program that says it is a server of this version: what an older system has on PATH. */
async function server(place: string, version: string): Promise<string> {
  const path = join(place, 'redis-server')
  await writeFile(path, `#!/bin/sh\necho "Redis server v=${version} sha=00000000:0 malloc=libc bits=64"\n`)
  await chmod(path, 0o755)
  return path
}

async function find(cwd: string, env: Record<string, string>, uid?: number): Promise<Found> {
  const { stdout } = await run(process.execPath, [FIND], {
    cwd,
    env: { HOME: '/nonexistent', ...env },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  return JSON.parse(stdout)
}

describe('the server binary', () => {
  it('is the first on PATH that is new enough; an older one is left out with the reason', async () => {
    const older = await folder('older')
    const newer = await folder('newer')
    await server(older, '6.0.16')
    const path = await server(newer, '7.2.4')
    const found = await find(directory, { PATH: [older, newer, process.env.PATH].join(delimiter) })
    expect(found.binary).toEqual({ path, env: {}, version: '7.2.4' })
    expect(found.lines).toEqual([`Not used: ${join(older, 'redis-server')} is 6.0.16, and 7.0 or newer is needed.`])
  })

  it('is called missing in one sentence that names the way to get one, where none can be fetched', async () => {
    const empty = await folder('empty')
    const { error } = await find(empty, { PATH: empty })
    expect(error?.name).toBe('SetupError')
    expect(error?.message).toMatch(
      /^No Redis server was found \(none is on PATH\)\. To get one, .+, or set REDIS_URL to one that runs, or REDIS_SERVER_BIN to its program\.$/,
    )
  })

  it('is not looked for where no cache can be written: it says so', async () => {
    const full = await folder('full')
    // A file in its place stops root too.
    await writeFile(join(full, '.cache'), '')
    await writeFile(join(full, 'file'), '')
    const { error } = await find(full, { PATH: withoutRedis, XDG_CACHE_HOME: join(full, 'file') })
    if (existsSync('/usr/bin/apt-get')) expect(error?.message).toContain('neither .cache nor the cache of this user')
  })
})

describe.skipIf(!existsSync('/usr/bin/apt-get'))(
  'the server fetched on Debian and Ubuntu',
  { timeout: 300_000 },
  () => {
    let work: string
    let cached: ServerBinary

    beforeAll(async () => {
      work = await folder('work')
      const env = { PATH: withoutRedis }
      const two = await Promise.all([find(work, env), find(work, env)])
      for (const found of two) expect(found.error).toBeUndefined()
      // Of two that start at once, one fetches.
      expect(two.flatMap(found => found.lines)).toEqual([expect.stringMatching(/^Fetching a Redis server into /)])
      expect(two[0]?.binary).toEqual(two[1]?.binary)
      cached = two[0]?.binary as ServerBinary
    })

    it('runs from the cache of the project', async () => {
      expect(cached.path.startsWith(join(work, '.cache'))).toBe(true)
      const { stdout } = await run('ldd', [cached.path], { env: { ...process.env, ...cached.env } })
      expect(stdout).not.toContain('not found')
      // Where the system lacks some of its libraries, a server that is named needs to be told where they are.
      vi.stubEnv('LD_LIBRARY_PATH', cached.env.LD_LIBRARY_PATH)
      const data = await startEmbeddedRedis({ dataDir: join(directory, 'data'), binary: cached.path })
      await data.stop()
      vi.unstubAllEnvs()
    })

    it('is found again without a word, and leaves no scraps', async () => {
      expect(await find(work, { PATH: withoutRedis })).toEqual({ binary: cached, lines: [] })
      expect((await readdir(join(work, '.cache'))).filter(name => !name.endsWith('.lock'))).toHaveLength(1)
    })

    it('is also found in the cache of the user', async () => {
      const elsewhere = await folder('elsewhere')
      const home = await folder('cache-home')
      await cp(join(work, '.cache'), join(home, 'setstream'), { recursive: true, verbatimSymlinks: true })
      const { binary } = await find(elsewhere, { PATH: withoutRedis, XDG_CACHE_HOME: home })
      expect(binary?.path.startsWith(join(home, 'setstream'))).toBe(true)
      expect(existsSync(join(elsewhere, '.cache'))).toBe(false)
    })

    it('is fetched anew where the cached one no longer runs', async () => {
      await rm(cached.path)
      // Nor does what a killed process left of its work stay.
      await mkdir(join(work, '.cache', `${basename(dirname(dirname(cached.path)))}.fetching-killed`))
      const again = await find(work, { PATH: withoutRedis })
      expect(again.binary).toEqual(cached)
      expect(again.lines).toHaveLength(1)
    })

    it.skipIf(process.getuid?.() !== 0)('needs no root', async ({ skip }) => {
      const unprivileged = await folder('unprivileged')
      await chmod(unprivileged, 0o777)
      // A checkout below a directory of root's own cannot be read by anyone else.
      const readable = await run('cat', [FIND], { uid: NOBODY, gid: NOBODY }).then(
        () => true,
        () => false,
      )
      if (!readable) skip('this checkout is for root alone')
      const found = await find(unprivileged, { PATH: withoutRedis }, NOBODY)
      expect(found.error).toBeUndefined()
      expect(found.binary?.path.startsWith(unprivileged)).toBe(true)
    })
  },
)
