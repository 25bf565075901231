import dns from 'node:dns'
import type { AddressInfo } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SetupError } from '../../../src/errors.ts'
import { listen } from '../../../src/serve/listen.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(apps.splice(0).map(app => app.close()))
})

function resolveTo(...addresses: string[]): void {
  vi.spyOn(dns.promises, 'lookup').mockImplementation((async () => addresses.map(address => ({ address }))) as never)
}

/** Of a machine that has not got these addresses. */
function without(...missing: string[]): () => FastifyInstance {
  return () => {
    const app = fastify()
    const listen = app.listen.bind(app)
    app.listen = (async (options: { host: string }) => {
      if (!missing.includes(options.host)) return listen(options)
      throw Object.assign(new Error('no such address'), { code: 'EADDRNOTAVAIL' })
    }) as never
    return app
  }
}

const listeningOn = () =>
  (apps.flatMap(app => app.addresses()) as AddressInfo[]).map(({ address, port }) => `${address}:${port}`)

describe('a listener on localhost', () => {
  it('is on all of its addresses, with one port', async () => {
    resolveTo('127.0.0.2', '127.0.0.1', '127.0.0.1')
    const url = await listen(without(), apps, 'OPS_LISTEN', { host: 'localhost', port: 0 }, undefined)
    const { port } = new URL(url)
    expect(url).toBe(`http://localhost:${port}`)
    expect(listeningOn()).toEqual([`127.0.0.2:${port}`, `127.0.0.1:${port}`])
  })

  it.each([
    ['the first', '::1', '127.0.0.1'],
    ['the second', '127.0.0.1', '::1'],
  ])('does without an address that the machine has not got: %s', async (_, ...addresses) => {
    resolveTo(...addresses)
    await listen(without('::1'), apps, 'OPS_LISTEN', { host: 'localhost', port: 0 }, undefined)
    expect(listeningOn()).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)])
  })

  it('is refused where there is none, or another process has one', async () => {
    resolveTo('::1')
    const at = (port: number) => listen(without('::1'), apps, 'OPS_LISTEN', { host: 'localhost', port }, undefined)
    await expect(at(0)).rejects.toThrow(
      new SetupError('OPS_LISTEN ::1:0 cannot be had (EADDRNOTAVAIL): choose another, or port 0 for any free one.'),
    )
    resolveTo('127.0.0.1')
    const { port } = new URL(await at(0))
    resolveTo('127.0.0.2', '127.0.0.1')
    await expect(at(Number(port))).rejects.toThrow(`OPS_LISTEN 127.0.0.1:${port} is in use`)
  })

  it('never leaves loopback, whatever the name stands for', async () => {
    resolveTo('192.0.2.1')
    await listen(without(), apps, 'OPS_LISTEN', { host: 'localhost', port: 0 }, undefined)
    expect(listeningOn()).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)])
  })
})
