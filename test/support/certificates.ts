/** Certificates of a test: an authority, and whom it vouches for. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'

const run = promisify(execFile)

export interface Identity {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
  /** In hex. */
  readonly sha256: string
}

export interface Authority extends Identity {
  /**
   * @param names subjectAltName as OpenSSL reads it, such as `DNS:a,URI:b`.
   * @param options `days` 0 is over at once; newer OpenSSL makes none that ends before it begins.
   */
  issue(names: string, options?: { readonly rsa?: boolean; readonly days?: number }): Promise<Identity>
}

let directory: Promise<string> | undefined
let count = 0

afterAll(async () => {
  if (directory !== undefined) await rm(await directory, { recursive: true, force: true })
})

export async function authority(name: string): Promise<Authority> {
  const files = await newFiles()
  await run('openssl', ['req', '-x509', ...newKey(files), '-out', files.certFile, '-days', '2', '-subj', `/CN=${name}`])
  const own = await read(files)
  return { ...own, issue: (names, options = {}) => issue(own, names, options) }
}

/** For this process, whose test files each have their own, what NODE_EXTRA_CA_CERTS does for others. */
export function trust({ cert }: Authority): void {
  setDefaultCACertificates([...getCACertificates('default'), cert])
}

async function issue(by: Identity, names: string, { rsa = false, days = 2 }: { rsa?: boolean; days?: number }) {
  const files = await newFiles()
  const request = `${files.certFile}.csr`
  const extensions = [`subjectAltName=${names}`, 'basicConstraints=critical,CA:FALSE'].flatMap(e => ['-addext', e])
  await run('openssl', ['req', '-new', ...newKey(files, rsa), '-out', request, '-subj', '/CN=leaf', ...extensions])
  const signing = ['-CA', by.certFile, '-CAkey', by.keyFile, '-copy_extensions', 'copy', '-days', String(days)]
  await run('openssl', ['x509', '-req', '-in', request, '-out', files.certFile, ...signing])
  return read(files)
}

type Files = Pick<Identity, 'certFile' | 'keyFile'>

async function newFiles(): Promise<Files> {
  directory ??= mkdtemp(join(tmpdir(), 'setstream-certificates-'))
  const path = join(await directory, String(++count))
  return { certFile: `${path}.pem`, keyFile: `${path}.key` }
}

function newKey({ keyFile }: Files, rsa = false): string[] {
  const kind = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  return ['-newkey', ...kind, '-nodes', '-keyout', keyFile]
}

async function read(files: Files): Promise<Identity> {
  const [cert, key] = await Promise.all([readFile(files.certFile, 'utf8'), readFile(files.keyFile, 'utf8')])
  const sha256 = new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()
  return { ...files, cert, key, sha256 }
}
