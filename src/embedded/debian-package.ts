/**
 * Fetches the Redis server on Debian and Ubuntu without root and without touching the system. The package manager works
 * on state of its own in a directory of ours, with the system's package sources and keys: what is unpacked was signed by
 * the distribution, and nothing is installed.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { probe, type ServerBinary } from './probe.ts'

const run = promisify(execFile)

/** The package `redis-server` is links and services; the program is in this one, under the name of a check tool. */
const PACKAGE = 'redis-tools'
const PROGRAM = 'redis-check-rdb'
/** The program looks at the name it is called by: by this one it is the server. */
const SERVER = 'redis-server'
const COMMAND_MS = 300_000
const WORKSPACE = '.fetching-'

/** The server in a directory that `fetchDebianServer` made. */
export async function unpackedServer(directory: string): Promise<ServerBinary | { readonly refused: string }> {
  const libraries = [join(directory, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter)
  return probe(join(directory, 'bin', SERVER), { LD_LIBRARY_PATH: libraries })
}

export async function hasDebianTools(): Promise<boolean> {
  const tools = ['apt-get', 'dpkg-deb'].map(tool => run(tool, ['--version']))
  return Promise.all(tools).then(
    () => true,
    () => false,
  )
}

/**
 * Fetches and unpacks into `directory`, which appears whole or not at all. For one caller at a time.
 * @returns why not, where what was fetched does not run here or is too old.
 * @throws {Error} the package manager's own words.
 */
export async function fetchDebianServer(directory: string): Promise<ServerBinary | { readonly refused: string }> {
  await removeScraps(directory)
  const workspace = await mkdtemp(`${directory}${WORKSPACE}`)
  try {
    await download(workspace)
    const assembled = await assemble(workspace)
    const found = await unpackedServer(assembled)
    if ('refused' in found) return { refused: found.refused.replaceAll(workspace, PACKAGE) }
    // One that no longer runs, say after an upgrade of the system, makes way.
    await rm(directory, { recursive: true, force: true })
    await rename(assembled, directory)
    return await unpackedServer(directory)
  } finally {
    await rm(workspace, { recursive: true, force: true })
  }
}

/** What a process left that was killed while it fetched. */
async function removeScraps(directory: string): Promise<void> {
  const cache = dirname(directory)
  const scraps = (await readdir(cache)).filter(name => name.startsWith(`${basename(directory)}${WORKSPACE}`))
  await Promise.all(scraps.map(name => rm(join(cache, name), { recursive: true, force: true })))
}

/** Downloads the package and all that it depends on. */
async function download(workspace: string): Promise<void> {
  const config = join(workspace, 'apt.conf')
  await mkdir(join(workspace, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(workspace, 'cache', 'archives', 'partial'), { recursive: true })
  await writeFile(join(workspace, 'status'), '')
  const settings = [
    `Dir::State "${workspace}/state";`,
    `Dir::Cache "${workspace}/cache";`,
    // As if nothing were installed: what is held, broken or half upgraded on this system is no concern of ours.
    `Dir::State::status "${workspace}/status";`,
    // All that is written is ours: there is nothing to lock, and another user could not enter our directory.
    'Debug::NoLocking "true";',
    'APT::Sandbox::User "root";',
    // Hooks are the system's, and some of them clean its caches.
    ...['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'].map(
      hook => `#clear ${hook};`,
    ),
    ...['DPkg::Pre-Invoke', 'DPkg::Post-Invoke', 'DPkg::Pre-Install-Pkgs'].map(hook => `#clear ${hook};`),
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "20";',
    'Acquire::https::Timeout "20";',
  ]
  await writeFile(config, `${settings.join('\n')}\n`)
  const apt = (...args: string[]) =>
    run('apt-get', ['-c', config, '-q', ...args], {
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: COMMAND_MS,
      maxBuffer: 16_777_216,
    })
  // A source that does not answer fails the update, and matters only if the package was to come from it.
  const updated = await apt('update').then(() => undefined, reason)
  await apt('install', '--download-only', '--no-install-recommends', '--yes', PACKAGE).catch(error => {
    throw new Error([reason(error), updated].filter(Boolean).join(' '))
  })
}

/** The first complaint of the package manager, in a line. */
function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return /^E: (.*)$/m.exec(stderr ?? '')?.[1] ?? message.split('\n')[0] ?? message
}

/** @returns a directory with `bin` and `lib`: the server, and the libraries it needs that this system does not have. */
async function assemble(workspace: string): Promise<string> {
  const root = join(workspace, 'root')
  const archives = join(workspace, 'cache', 'archives')
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run('dpkg-deb', ['--extract', join(archives, name), root], { timeout: COMMAND_MS })
  }
  const files = new Map<string, string>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory()) files.set(entry.name, join(entry.parentPath, entry.name))
  }
  const server = join(workspace, 'server')
  await mkdir(join(server, 'bin'), { recursive: true })
  await mkdir(join(server, 'lib'))
  const program = files.get(PROGRAM)
  if (program === undefined) throw new Error(`the package ${PACKAGE} has no ${PROGRAM}`)
  await copyFile(program, join(server, 'bin', PROGRAM))
  await symlink(PROGRAM, join(server, 'bin', SERVER))
  await addLibraries(server, files)
  return server
}

/** Nothing stands in for a library of the system: ours could not go with its dynamic linker. */
async function addLibraries(server: string, files: Map<string, string>): Promise<void> {
  const directory = join(server, 'lib')
  const env = { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: directory }
  for (;;) {
    const { stdout } = await run('ldd', [join(server, 'bin', PROGRAM)], { env, timeout: COMMAND_MS })
    const missing = new Set(Array.from(stdout.matchAll(/^\s*(\S+) => not found$/gm), match => match[1] ?? ''))
    const found = [...missing].filter(name => files.has(name))
    // What is missing still is told when the server is tried. A library that was added may need more.
    if (found.length === 0) return
    for (const name of found) {
      await copyFile(files.get(name) as string, join(directory, name))
      files.delete(name)
    }
  }
}
