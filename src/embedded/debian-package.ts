/**
 * Fetches the Redis server on Debian and Ubuntu without root and without touching the system. The package manager works
 * on state of its own in a directory of ours, with the system's package sources and keys: what is unpacked was signed by
 * the distribution, and nothing is installed.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { probe, type ServerBinary } from './probe.ts'

const run = promisify(execFile)

/** The package `redis-server` is links and services; the program is in this one, under the name of a check tool. */
const PACKAGE = 'redis-tools'
const PROGRAM = 'redis-check-rdb'
/** The program looks at the name it is called by: by this one it is the server. */
const SERVER = 'redis-server'
const COMMAND_MS = 300_000

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
 * Fetches and unpacks into `directory`, which appears whole or not at all.
 * @returns why not, where what was fetched does not run here or is too old.
 * @throws {Error} the package manager's own words.
 */
export async function fetchDebianServer(directory: string): Promise<ServerBinary | { readonly refused: string }> {
  const workspace = await mkdtemp(`${directory}.`)
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

/** Downloads the package and those libraries it needs that this system does not have. */
async function download(workspace: string): Promise<void> {
  const config = join(workspace, 'apt.conf')
  await mkdir(join(workspace, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(workspace, 'cache', 'archives', 'partial'), { recursive: true })
  const settings = [
    `Dir::State "${workspace}/state";`,
    `Dir::Cache "${workspace}/cache";`,
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
  // `--reinstall`: also where the package is installed, but its directory is not on PATH.
  const install = ['install', '--download-only', '--reinstall', '--no-install-recommends', '--yes', PACKAGE]
  await apt(...install).catch(error => {
    throw new Error([reason(error), updated].filter(Boolean).join(' '))
  })
}

/** The first complaint of the package manager, in a line. */
function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return /^E: (.*)$/m.exec(stderr ?? '')?.[1] ?? message.split('\n')[0] ?? message
}

/** @returns a directory with `bin` and `lib`: what the server needs, out of all that the packages hold. */
async function assemble(workspace: string): Promise<string> {
  const root = join(workspace, 'root')
  const archives = join(workspace, 'cache', 'archives')
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run('dpkg-deb', ['--extract', join(archives, name), root], { timeout: COMMAND_MS })
  }
  const server = join(workspace, 'server')
  await mkdir(join(server, 'bin'), { recursive: true })
  await mkdir(join(server, 'lib'))
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name)
    if (entry.name === PROGRAM && entry.parentPath.endsWith('/bin')) await rename(from, join(server, 'bin', PROGRAM))
    // Links among them are relative, and from one directory to the same.
    else if (/\.so(\.|$)/.test(entry.name) && !entry.isDirectory()) await rename(from, join(server, 'lib', entry.name))
  }
  await symlink(PROGRAM, join(server, 'bin', SERVER))
  return server
}
