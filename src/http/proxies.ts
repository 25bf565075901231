/**
 * Proxies in front of us. What they say about the client, in forwarded headers, counts only when the connection comes
 * from an address of TRUST_PROXY; from anybody else these headers are as if they were not there.
 */
import { BlockList, isIP, type Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { SetupError } from '../errors.ts'

export class Proxies {
  readonly #trusted = new BlockList()
  readonly #verdicts = new WeakMap<Socket, boolean>()
  readonly isConfigured: boolean

  /** @param text addresses and networks, with commas between. @throws {SetupError} */
  constructor(text: string | undefined) {
    const entries = (text ?? '').split(',').map(entry => entry.trim())
    this.isConfigured = text !== undefined
    if (!this.isConfigured) return
    for (const entry of entries) this.#add(entry)
  }

  /** Whether the connection itself comes from one of them. */
  isBehind({ socket }: FastifyRequest): boolean {
    if (!this.isConfigured) return false
    let verdict = this.#verdicts.get(socket)
    if (verdict === undefined) {
      verdict = this.#isTrusted(plainAddress(socket.remoteAddress ?? ''))
      this.#verdicts.set(socket, verdict)
    }
    return verdict
  }

  /** The address of the client: the last one in the chain that a trusted proxy reports and that is not itself trusted. */
  clientAddress(request: FastifyRequest): string {
    let address = plainAddress(request.socket.remoteAddress ?? '')
    if (!this.isBehind(request)) return address
    const hops = String(request.headers['x-forwarded-for'] ?? '').split(',')
    while (hops.length > 0 && this.#isTrusted(address)) {
      const before = plainAddress(hops.pop()?.trim() ?? '')
      if (isIP(before) === 0) break
      address = before
    }
    return address
  }

  #isTrusted(address: string): boolean {
    const version = isIP(address)
    return version !== 0 && this.#trusted.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }

  #add(entry: string): void {
    const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(entry)
    const address = match?.[1] ?? ''
    const version = isIP(address)
    const family = version === 6 ? 'ipv6' : 'ipv4'
    const bits = match?.[2] === undefined ? undefined : Number(match[2])
    if (version === 0 || (bits !== undefined && bits > (version === 6 ? 128 : 32))) {
      throw new SetupError(
        'TRUST_PROXY: not a list of addresses and networks, such as 10.1.2.3,192.0.2.0/24,2001:db8::/64.',
      )
    }
    if (bits === undefined) this.#trusted.addAddress(address, family)
    else this.#trusted.addSubnet(address, bits, family)
  }
}

/** Without the IPv6 form of an IPv4 address, a zone, brackets or a port. */
function plainAddress(text: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)
  const address = bracketed?.[1] ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  return address.replace(/^::ffff:(?=\d+\.)/i, '').split('%', 1)[0] ?? ''
}
