/**
 * TLS of a listener: read from files, refused in words an operator can act on, and read again when the files change,
 * without touching the connections there are.
 * Source: RFC 9325 (BCP 195) §3.1.1 (versions), §3.4, §3.5 (resumption, renegotiation), §4.2 (suites).
 */
import { constants, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Server, ServerOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import { SetupError } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Which listener: also the beginning of its variables. */
export type TlsName = 'TLS' | 'INTERNAL_TLS'

export interface TlsFiles {
  readonly name: TlsName
  readonly cert: string
  readonly key: string
  readonly clientCa: string | undefined
}

interface Material {
  readonly cert: string
  readonly key: string
  readonly ca: string | undefined
}

const LOOK_EVERY_MS = 1000
const EXPIRES_SOON_MS = 14 * 86_400_000

/** RFC 9325 §4.2 recommends four suites for TLS 1.2; those of TLS 1.3 are OpenSSL's own, all of them sound. */
const SUITES = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':')

/** @returns undefined for a listener without TLS. @throws {SetupError} when it is half configured. */
export function tlsFiles(config: Config, name: TlsName): TlsFiles | undefined {
  const cert = config[`${name}_CERT_FILE`]
  const key = config[`${name}_KEY_FILE`]
  const clientCa = config[`${name}_CLIENT_CA_FILE`]
  if (cert !== undefined && key !== undefined) return { name, cert, key, clientCa }
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined
  const given = cert !== undefined ? 'CERT' : key !== undefined ? 'KEY' : 'CLIENT_CA'
  const missing = [cert === undefined && `${name}_CERT_FILE`, key === undefined && `${name}_KEY_FILE`].filter(Boolean)
  throw new SetupError(`${name}_${given}_FILE is set without ${missing.join(' and ')}: set all of them, or none.`)
}

export class Tls {
  readonly #files: TlsFiles
  readonly #logger: Logger
  #material: Material
  #seen: string
  readonly #servers: Server[] = []
  #timer: NodeJS.Timeout | undefined

  private constructor(files: TlsFiles, logger: Logger, material: Material, seen: string) {
    this.#files = files
    this.#logger = logger
    this.#material = material
    this.#seen = seen
    this.#tell('certificate loaded')
  }

  /** @throws {SetupError} what is wrong with which file. */
  static async open(files: TlsFiles, logger: Logger): Promise<Tls> {
    const seen = await fingerprint(files)
    return new Tls(files, logger, await readMaterial(files), seen)
  }

  /**
   * @param clients `asked`: a client may show a certificate, and is told apart by it. `required`: no connection without
   *   one; who the client is, a token says.
   */
  options(clients: 'asked' | 'required'): ServerOptions {
    const isRequired = this.#files.clientCa !== undefined && clients === 'required'
    return {
      ...contextOptions(this.#material),
      requestCert: this.#files.clientCa !== undefined,
      // Where it is only asked for, one that does not hold is as good as none: `authorized` says so.
      rejectUnauthorized: isRequired,
    }
  }

  /** New connections get what the files hold, about a second after they change. */
  follow(server: Server): void {
    this.#servers.push(server)
    if (this.#servers.length > 1) return
    const look = async () => {
      const now = await fingerprint(this.#files)
      if (now === this.#seen) return
      try {
        const material = await readMaterial(this.#files)
        for (const each of this.#servers) each.setSecureContext(contextOptions(material))
        this.#material = material
        this.#tell('certificate reloaded')
      } catch (error) {
        // Certificate and key are seldom replaced at one moment: the old ones serve until the new ones fit.
        this.#logger.warn({ reason: (error as Error).message }, 'new TLS files are not taken')
      }
      this.#seen = now
    }
    const tick = () => {
      void look().finally(() => {
        if (this.#timer !== undefined) this.#timer = setTimeout(tick, LOOK_EVERY_MS).unref()
      })
    }
    this.#timer = setTimeout(tick, LOOK_EVERY_MS).unref()
  }

  /** When the certificate in use ends, in milliseconds since 1970. */
  get validToMs(): number {
    return new X509Certificate(this.#material.cert).validToDate.getTime()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #tell(message: string): void {
    const { validToDate, fingerprint256 } = new X509Certificate(this.#material.cert)
    const about = { listener: this.#files.name, validTo: validToDate.toISOString(), sha256: fingerprint256 }
    if (validToDate.getTime() - Date.now() < EXPIRES_SOON_MS) this.#logger.warn(about, `${message}: it expires soon`)
    else this.#logger.info(about, message)
  }
}

function contextOptions({ cert, key, ca }: Material) {
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: SUITES,
    honorCipherOrder: true,
    // Without tickets every connection shows its certificate to the authorities of now, and no ticket key grows old.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  } as const
}

/** Changes whenever one of the files is replaced or written. Missing ones count too. */
async function fingerprint({ cert, key, clientCa }: TlsFiles): Promise<string> {
  const paths = clientCa === undefined ? [cert, key] : [cert, key, clientCa]
  const stats = await Promise.all(paths.map(path => stat(path).catch(() => undefined)))
  return stats.map(found => (found ? `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}` : '')).join('|')
}

async function readMaterial({ name, cert, key, clientCa }: TlsFiles): Promise<Material> {
  const material = {
    cert: await readText(`${name}_CERT_FILE`, cert),
    key: await readSecret(`${name}_KEY_FILE`, key),
    ca: clientCa === undefined ? undefined : await readText(`${name}_CLIENT_CA_FILE`, clientCa),
  }
  requireCertificate(`${name}_CERT_FILE`, material.cert)
  if (material.ca !== undefined) requireCertificate(`${name}_CLIENT_CA_FILE`, material.ca)
  try {
    createSecureContext(contextOptions(material))
  } catch (error) {
    // OpenSSL's reasons, such as `key values mismatch` or `ee key too small`, hold nothing of the files.
    const { reason, code } = error as { reason?: string; code?: string }
    throw new SetupError(`${name}_CERT_FILE and ${name}_KEY_FILE do not make a TLS identity: ${reason ?? code}.`)
  }
  return material
}

function requireCertificate(variable: string, pem: string): void {
  try {
    new X509Certificate(pem)
  } catch {
    throw new SetupError(`${variable} holds no certificate in PEM.`)
  }
}

async function readText(variable: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new SetupError(`${variable} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}

async function readSecret(variable: string, path: string): Promise<string> {
  const text = await readText(variable, path)
  // Groups are how certificate tools and orchestrators share a key with its one user; everybody is not.
  if (((await stat(path)).mode & 0o007) !== 0) {
    throw new SetupError(`${variable} can be read by every user of this machine: chmod o= it.`)
  }
  return text
}
