/** TLS of the listeners: P-145 to P-148, P-150; RFC 9325. */
import dns from 'node:dns'
import { once } from 'node:events'
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, getCiphers, type SecureVersion, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { SetupError } from '../../src/errors.ts'
import { type Authority, authority, type Identity } from '../support/certificates.ts'
import { ask } from '../support/http.ts'
import { startTransmitter, type TestTransmitter } from '../support/transmitter.ts'
import { until } from '../support/until.ts'

const NOW = { returnImmediately: true }

let ca: Authority
let directory: string
beforeAll(async () => {
  ca = await authority('test authority')
  directory = await mkdtemp(join(tmpdir(), 'setstream-tls-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const tlsOf = ({ certFile, keyFile }: Identity) => ({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })

/** @returns the socket once the handshake is over, or why there was none. */
async function handshake(url: string, options: ConnectionOptions = {}): Promise<TLSSocket | string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), ca: ca.cert, ...options })
  socket.on('error', () => {})
  return Promise.race([
    once(socket, 'secureConnect').then(() => socket),
    once(socket, 'close').then(() => 'closed'),
  ]).catch(error => String(error.code))
}

async function speaks(url: string, options: ConnectionOptions): Promise<boolean> {
  const socket = await handshake(url, options)
  if (typeof socket === 'string') return false
  socket.destroy()
  return true
}

describe.each([
  ['RSA', true],
  ['ECDSA', false],
])('a listener with an %s certificate', (kind, rsa) => {
  let transmitter: TestTransmitter
  let url: string
  beforeAll(async () => {
    transmitter = await startTransmitter(tlsOf(await ca.issue('IP:127.0.0.1', { rsa })))
    url = transmitter.publicUrl
  })

  it.each<[SecureVersion, boolean]>([
    ['TLSv1', false],
    ['TLSv1.1', false],
    ['TLSv1.2', true],
    ['TLSv1.3', true],
  ])('speaks %s: %s (P-146, P-147)', async (version, expected) => {
    const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
    expect(await speaks(url, options)).toBe(expected)
  })

  it('agrees to the suites that BCP 195 recommends, and to no others (P-148)', async () => {
    const agreed: string[] = []
    for (const name of getCiphers()) {
      const isNew = name.startsWith('tls_')
      const version = isNew ? 'TLSv1.3' : 'TLSv1.2'
      const ciphers = isNew ? name.toUpperCase() : `${name.toUpperCase()}@SECLEVEL=0`
      const only = { ciphers, minVersion: version, maxVersion: version } as const
      if (await speaks(url, only).catch(() => false)) agreed.push(name)
    }
    expect(agreed.sort()).toEqual([
      `ecdhe-${kind.toLowerCase()}-aes128-gcm-sha256`,
      `ecdhe-${kind.toLowerCase()}-aes256-gcm-sha384`,
      'tls_aes_128_gcm_sha256',
      'tls_aes_256_gcm_sha384',
      'tls_chacha20_poly1305_sha256',
    ])
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes no session over %s', async version => {
    const options = { minVersion: version, maxVersion: version }
    const first = (await handshake(url, options)) as TLSSocket
    const sessions: Buffer[] = []
    first.on('session', session => sessions.push(session))
    first.write('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    first.resume()
    await once(first, 'close')
    const session = sessions.at(-1) ?? first.getSession()
    const second = (await handshake(url, { ...options, ...(session ? { session } : {}) })) as TLSSocket
    expect(second.isSessionReused()).toBe(false)
    second.destroy()
  })

  it('does not negotiate again within a connection', async () => {
    const socket = (await handshake(url, { maxVersion: 'TLSv1.2' })) as TLSSocket
    const outcome = await new Promise(resolve => {
      socket.renegotiate({}, error => resolve(error ? 'refused' : 'renegotiated'))
      socket.once('close', () => resolve('refused'))
    })
    expect(outcome).toBe('refused')
    socket.destroy()
  })

  it('answers nothing to plain HTTP (P-145)', async () => {
    const { token } = await transmitter.addReceiver('plain')
    const plain = url.replace('https:', 'http:')
    await expect(ask(`${plain}/receivers/plain/poll`, { token, body: NOW })).rejects.toThrow()
    expect((await ask(`${url}/receivers/plain/poll`, { token, body: NOW, tls: { ca: ca.cert } })).status).toBe(200)
  })
})

describe('a certificate that is replaced', () => {
  it('serves new connections within seconds, while held polls go on', async () => {
    const [first, second] = [await ca.issue('IP:127.0.0.1'), await ca.issue('IP:127.0.0.1')]
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
    const put = async (identity: Identity) => {
      await copyFile(identity.certFile, cert)
      await copyFile(identity.keyFile, key)
    }
    await put(first)
    const transmitter = await startTransmitter({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key, POLL_WAIT_MS: '20000' })
    const { pollUrl, token } = await transmitter.addReceiver('r1')
    const seen = async () => {
      const socket = (await handshake(transmitter.publicUrl)) as TLSSocket
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256.replaceAll(':', '').toLowerCase()
    }
    expect(await seen()).toBe(first.sha256)

    const held = ask(pollUrl, { token, body: {}, tls: { ca: ca.cert } })
    const isHeld = async () => (await transmitter.admin('GET', '/v1/receivers/r1/stats')).heldPolls === 1
    await until('the poll to be held', isHeld)

    // Half of the new pair: it does not fit, and the old one goes on.
    await copyFile(second.certFile, cert)
    for (let i = 0; i < 20; i++) expect(await seen()).toBe(first.sha256)
    await put(second)
    await until('the new certificate', async () => (await seen()) === second.sha256)
    await writeFile(cert, 'nothing')
    for (let i = 0; i < 20; i++) expect(await seen()).toBe(second.sha256)

    expect(await isHeld()).toBe(true)
    await transmitter.admin('POST', '/v1/events', { events: { 'https://schemas.example/event/happened': {} } })
    expect(Object.keys((await held).body.sets)).toHaveLength(1)
  })
})

describe('a listener on localhost', () => {
  // What a machine with both families says, by addresses that every machine has.
  const ADDRESSES = ['127.0.0.1', '127.0.0.2']
  const resolve = (addresses: readonly string[]) => {
    const found = addresses.map(address => ({ address, family: 4 }))
    vi.spyOn(dns.promises, 'lookup').mockImplementation((async () => found) as never)
  }
  afterEach(() => void vi.restoreAllMocks())

  it('serves a replaced certificate on every address', async () => {
    resolve(ADDRESSES)
    const [first, second] = [await ca.issue('DNS:localhost'), await ca.issue('DNS:localhost')]
    const [cert, key] = [join(directory, 'every-cert.pem'), join(directory, 'every-key.pem')]
    const put = async (identity: Identity) => {
      await copyFile(identity.certFile, cert)
      await copyFile(identity.keyFile, key)
    }
    await put(first)
    const listen = { PUBLIC_LISTEN: 'localhost:0', INTERNAL_LISTEN: 'localhost:0', OPS_LISTEN: 'localhost:0' }
    const transmitter = await startTransmitter({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key, ...listen })
    const seen = () =>
      Promise.all(
        ADDRESSES.map(async host => {
          const socket = await handshake(transmitter.publicUrl, { host, servername: 'localhost' })
          if (typeof socket === 'string') return socket
          const { fingerprint256 } = socket.getPeerCertificate()
          socket.destroy()
          return fingerprint256.replaceAll(':', '').toLowerCase()
        }),
      )
    expect(await seen()).toEqual([first.sha256, first.sha256])
    await put(second)
    await until('the new certificate', async () => (await seen()).every(sha256 => sha256 === second.sha256))
  })
})

describe('a start is refused, in words and without a path or a secret, when', () => {
  const refusal = async (env: Record<string, string>) => {
    const outcome = await startTransmitter(env).then(
      () => 'started',
      error => error,
    )
    expect(outcome).toBeInstanceOf(SetupError)
    expect(outcome.message).not.toContain(tmpdir())
    return outcome.message as string
  }

  it('TLS is half configured', async () => {
    const { certFile, keyFile } = await ca.issue('IP:127.0.0.1')
    expect(await refusal({ TLS_CERT_FILE: certFile })).toBe(
      'TLS_CERT_FILE is set without TLS_KEY_FILE: set all of them, or none.',
    )
    expect(await refusal({ TLS_KEY_FILE: keyFile })).toMatch(/^TLS_KEY_FILE is set without TLS_CERT_FILE/)
    expect(await refusal({ INTERNAL_TLS_CLIENT_CA_FILE: certFile })).toMatch(
      /^INTERNAL_TLS_CLIENT_CA_FILE is set without INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE/,
    )
  })

  it('a file is not what it should be', async () => {
    const [one, other] = [await ca.issue('IP:127.0.0.1'), await ca.issue('IP:127.0.0.1')]
    const nothing = join(directory, 'nothing.pem')
    await writeFile(nothing, 'nothing\n', { mode: 0o600 })
    expect(await refusal({ ...tlsOf(one), TLS_CERT_FILE: '/nowhere.pem' })).toBe(
      'TLS_CERT_FILE cannot be read (ENOENT).',
    )
    expect(await refusal({ ...tlsOf(one), TLS_CERT_FILE: nothing })).toBe('TLS_CERT_FILE holds no certificate in PEM.')
    expect(await refusal({ ...tlsOf(one), TLS_KEY_FILE: nothing })).toMatch(/do not make a TLS identity/)
    expect(await refusal({ ...tlsOf(one), TLS_KEY_FILE: other.keyFile })).toMatch(/identity: key values mismatch/)
    expect(await refusal({ ...tlsOf(one), TLS_CLIENT_CA_FILE: nothing })).toMatch(/^TLS_CLIENT_CA_FILE holds no/)
  })

  it('everybody can read the key', async () => {
    const identity = await ca.issue('IP:127.0.0.1')
    await chmod(identity.keyFile, 0o644)
    expect(await refusal(tlsOf(identity))).toMatch(/^TLS_KEY_FILE can be read by every user/)
  })

  it('a listener off loopback would be plain', async () => {
    expect(await refusal({ PUBLIC_LISTEN: '0.0.0.0:0' })).toMatch(/^PUBLIC_LISTEN is off loopback without TLS/)
    expect(await refusal({ INTERNAL_LISTEN: '[::]:0' })).toMatch(/^INTERNAL_LISTEN is off loopback without TLS/)
  })
})

it('a listener off loopback opens with TLS', async () => {
  const identity = await ca.issue('IP:127.0.0.1')
  const env = { ...tlsOf(identity), PUBLIC_LISTEN: '0.0.0.0:0' }
  const transmitter = await startTransmitter(env)
  const url = transmitter.publicUrl.replace('0.0.0.0', '127.0.0.1')
  expect((await ask(`${url}/livez`, { tls: { ca: ca.cert } })).status).toBe(200)
})
