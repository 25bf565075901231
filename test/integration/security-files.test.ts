/** Secrets on disk are for one user, and stand in no process listing. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { startProcess, type TransmitterProcess } from '../support/transmitter-process.ts'

let directory: string
let server: TransmitterProcess
const secrets: string[] = []
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'setstream-files-'))
  const env = {
    DATA_DIR: directory,
    ...(process.env.REDIS_SERVER_BIN ? { REDIS_SERVER_BIN: process.env.REDIS_SERVER_BIN } : {}),
  }
  server = await startProcess(env, ['public', 'internal', 'workers'])
  secrets.push((await readFile(join(directory, 'admin-token'), 'utf8')).trim())
  for (const name of await readdir(join(directory, 'keys'))) {
    secrets.push(JSON.parse(await readFile(join(directory, 'keys', name), 'utf8')).d)
  }
  const endpoint = JSON.parse(await readFile(join(directory, 'redis', 'endpoint.json'), 'utf8'))
  if (endpoint.password !== undefined) secrets.push(endpoint.password)
}, 60_000)
afterAll(async () => {
  await server.terminate()
  await rm(directory, { recursive: true, force: true })
})

it('files that hold a secret can be read by their user alone', async () => {
  let count = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile()) continue
    const text = await readFile(path, 'latin1')
    if (!secrets.some(secret => text.includes(secret))) continue
    count += 1
    expect((await stat(path)).mode & 0o777, path).toBe(0o600)
  }
  expect(count).toBeGreaterThanOrEqual(2)
})

it('what Redis keeps is behind a directory for its user alone', async () => {
  expect((await stat(join(directory, 'redis'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(directory, 'keys'))).mode & 0o777).toBe(0o700)
})

it('no process shows a secret on its command line or gives it to its children', async () => {
  let count = 0
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '')
    const [commandLine, environment] = [await read('cmdline'), await read('environ')]
    if (commandLine.includes(directory) || Number(pid) === server.pid) {
      count += 1
      for (const secret of secrets) expect(commandLine + environment).not.toContain(secret)
    }
  }
  // The transmitter and its Redis.
  expect(count).toBeGreaterThanOrEqual(2)
})

it('a token that is given on the command line does not stay in the list of processes', async () => {
  const args = ['status', '--watch', '--url', server.internalUrl, '--token', secrets[0] ?? '']
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/cli.ts'), ...args], { stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const commandLine = await readFile(`/proc/${child.pid}/cmdline`, 'latin1')
  expect(commandLine).toMatch(/^setstream/)
  expect(commandLine).not.toContain(secrets[0])
})

it('the start prints where the admin token is, and not what it is', () => {
  expect(server.output()).toContain(join(directory, 'admin-token'))
  for (const secret of secrets) expect(server.output()).not.toContain(secret)
})
