/** Signals to a transmitter that runs the embedded server: it ends in good order, or at once for who insists. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { ROLES } from '../../src/serve.ts'
import { startProcess } from '../support/transmitter-process.ts'
import { until } from '../support/until.ts'

const directory = await mkdtemp(join(tmpdir(), 'setstream-signals-'))
afterAll(() => rm(directory, { recursive: true, force: true }))

const server = async (dataDir: string) => Number(await readFile(join(dataDir, 'redis', 'redis.pid'), 'utf8'))

it('one Ctrl-C that comes twice, from the terminal and from npm, ends the embedded server too', async () => {
  const dataDir = join(directory, 'twice')
  const transmitter = await startProcess({ DATA_DIR: dataDir, DRAIN_DELAY_MS: '400' }, ROLES)
  const pid = await server(dataDir)
  process.kill(transmitter.pid, 'SIGINT')
  // Two at the same moment would be one to the process.
  await until('the first was taken', async () => (await fetch(`${transmitter.opsUrl}/readyz`)).status === 503)
  process.kill(transmitter.pid, 'SIGINT')
  expect(await transmitter.terminate()).toBe(0)
  await until('the server is gone', () => !existsSync(`/proc/${pid}`))
})

it('a second signal ends a process that drains, at once', async () => {
  const dataDir = join(directory, 'insists')
  const transmitter = await startProcess({ DATA_DIR: dataDir, DRAIN_DELAY_MS: '600000' }, ROLES)
  let code: number | null | undefined
  await until('it ended', async () => {
    void transmitter.terminate().then(exit => {
      code = exit
    })
    return code !== undefined
  })
  expect(code).toBe(1)
  // Left behind, as by any process that is killed, and adopted at the next start.
  const next = await startProcess({ DATA_DIR: dataDir }, ROLES)
  const pid = await server(dataDir)
  expect(await next.terminate()).toBe(0)
  await until('the server is gone', () => !existsSync(`/proc/${pid}`))
})
