/**
 * Client certificates: of the TLS connection itself, or as a trusted proxy reports the one of the connection it ended.
 * Source: RFC 8705 §2.1 (mutual TLS), RFC 9440 §2.2 (`Client-Cert`).
 */
import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { sanNames } from '../../protocol/client-names.ts'
import type { Proxies } from '../proxies.ts'

export interface ClientCertificate {
  /** In hex. */
  readonly sha256: string
  /** What a receiver may list it by, as `clientName` writes it. */
  readonly names: readonly string[]
  readonly validFromMs: number
  readonly validToMs: number
}

/** A byte sequence of RFC 8941 §3.3.5, and not much longer than a certificate can be. */
const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]{1,12000}={0,2}):$/
const REPORTED_MAX = 10_000

export class ClientCertificates {
  readonly #proxies: Proxies
  readonly #ofSocket = new WeakMap<Socket, ClientCertificate | 'none'>()
  readonly #reported = new LRUCache<string, ClientCertificate | 'none'>({ max: REPORTED_MAX })

  constructor(proxies: Proxies) {
    this.#proxies = proxies
  }

  /** @returns one that was proven and is valid now. Authorities were checked when the connection was made. */
  of(request: FastifyRequest): ClientCertificate | undefined {
    // The connection of a proxy is the proxy's: its own certificate says nothing about the client.
    const found = this.#proxies.isBehind(request) ? this.#fromHeader(request) : this.#fromSocket(request.socket)
    if (found === 'none') return undefined
    // A connection may outlive the certificate it began with.
    const nowMs = Date.now()
    return found.validFromMs <= nowMs && nowMs < found.validToMs ? found : undefined
  }

  #fromSocket(socket: Socket): ClientCertificate | 'none' {
    let found = this.#ofSocket.get(socket)
    if (found === undefined) {
      const isProven = socket instanceof TLSSocket && socket.authorized
      const certificate = isProven ? socket.getPeerX509Certificate() : undefined
      found = certificate === undefined ? 'none' : read(certificate)
      this.#ofSocket.set(socket, found)
    }
    return found
  }

  #fromHeader(request: FastifyRequest): ClientCertificate | 'none' {
    const header = request.headers['client-cert']
    if (typeof header !== 'string') return 'none'
    let found = this.#reported.get(header)
    if (found === undefined) {
      found = parse(header)
      this.#reported.set(header, found)
    }
    return found
  }
}

function parse(header: string): ClientCertificate | 'none' {
  // Two certificates arrive as a list, which is not one byte sequence.
  const base64 = BYTE_SEQUENCE.exec(header.trim())?.[1]
  if (base64 === undefined) return 'none'
  try {
    return read(new X509Certificate(Buffer.from(base64, 'base64')))
  } catch {
    return 'none'
  }
}

function read(certificate: X509Certificate): ClientCertificate {
  const sha256 = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  return {
    sha256,
    names: [`sha256:${sha256}`, ...sanNames(certificate.subjectAltName ?? '')],
    validFromMs: certificate.validFromDate.getTime(),
    validToMs: certificate.validToDate.getTime(),
  }
}
