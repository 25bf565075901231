/** A receiver gives its token to nobody but the transmitter it means: P-149, P-152. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const directory = await mkdtemp(join(tmpdir(), 'setstream-tls-'))
afterAll(() => rm(directory, { recursive: true, force: true }))

async function certificate(name: string): Promise<{ certFile: string; cert: string; key: string }> {
  const certFile = join(directory, `${name}.pem`)
  const keyFile = join(directory, `${name}.key`)
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-days', '1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  await run('openssl', ['req', '-x509', ...key, '-out', certFile, ...subject])
  return { certFile, cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
}

/** What a program that uses the library sees; its trust anchors are read at start, hence a process. */
const PROGRAM = `
import { createReceiver } from ${JSON.stringify(fileURLToPath(new URL('../../src/client/receiver.ts', import.meta.url)))}
const receiver = createReceiver({
  pollUrl: process.argv[1] + '/receivers/r1/poll',
  token: 'sst_secret',
  issuers: [{ issuer: 'https://issuer.example', jwks: { keys: [] } }],
  audience: 'me',
})
try {
  console.log(JSON.stringify(await receiver.pollOnce(() => undefined)))
} catch (error) {
  console.log(error.cause?.code ?? error.message)
}
`

async function pollFrom(url: string, trustedFile: string | undefined): Promise<string> {
  const env = { PATH: process.env.PATH, ...(trustedFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: trustedFile }) }
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', PROGRAM, url], { env })
  return stdout.trim()
}

async function transmitterAs(name: string) {
  const { certFile, cert, key } = await certificate(name)
  const tokens: (string | undefined)[] = []
  const server = createServer({ cert, key }, (request, response) => {
    tokens.push(request.headers.authorization)
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end('{"sets":{}}'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { url: `https://localhost:${(server.address() as AddressInfo).port}`, certFile, tokens }
}

it('polls a transmitter whose certificate names it', async () => {
  const { url, certFile, tokens } = await transmitterAs('localhost')
  expect(JSON.parse(await pollFrom(url, certFile))).toMatchObject({ received: 0 })
  expect(tokens).toEqual(['Bearer sst_secret'])
})

it('sends nothing where the certificate names another', async () => {
  const { url, certFile, tokens } = await transmitterAs('other.example')
  expect(await pollFrom(url, certFile)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  expect(tokens).toEqual([])
})

it('sends nothing where nobody it trusts vouches for the certificate', async () => {
  const { url, tokens } = await transmitterAs('localhost')
  expect(await pollFrom(url, undefined)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  expect(tokens).toEqual([])
})
