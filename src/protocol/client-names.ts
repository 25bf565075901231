/**
 * What a receiver may authenticate with besides our own tokens, each in one spelling, so that what is equal compares
 * equal and nothing else does.
 * Source: RFC 8705 §2.1.2 (names in certificates), RFC 5280 §4.2.1.6 (subjectAltName), RFC 9068 §2.2 (client_id).
 */
import { isIP } from 'node:net'
import type { Client } from './receiver.ts'
import { isUri } from './uri.ts'

export function clientName(client: Client): string {
  if ('oauthClientId' in client) return oauthClientName(client.oauthClientId)
  if ('certSha256' in client) return `sha256:${client.certSha256.replaceAll(':', '').toLowerCase()}`
  return sanName(client.certSan)
}

export function oauthClientName(clientId: string): string {
  return `oauth:${clientId}`
}

/**
 * @param text `subjectAltName` as Node.js writes it: `DNS:a, URI:b`, with what could be mistaken quoted as JSON.
 * @returns names that `clientName` gives for a `certSan`; none at all when a part is not understood.
 */
export function sanNames(text: string): string[] {
  const names: string[] = []
  const entry = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text)
    if (match === null) return []
    const [, kind, written = ''] = match
    const value = unquoted(written)
    if (value === undefined) return []
    // A value of one kind that reads like another kind would be found under the other's name.
    const name = value === '' ? '' : sanName(value)
    if (name.startsWith(`${KINDS[kind ?? ''] ?? 'none'}:`)) names.push(name)
  }
  return names
}

const KINDS: Readonly<Record<string, string>> = { DNS: 'dns', URI: 'uri', email: 'email', 'IP Address': 'ip' }

/** The kind follows from the value: no host name holds `:` or `@`, and none is an address. Wildcards mean themselves. */
function sanName(value: string): string {
  const version = isIP(value)
  if (version === 6) return `ip:${new URL(`http://[${value.split('%', 1)[0]}]`).hostname.slice(1, -1)}`
  if (version === 4) return `ip:${value}`
  if (isUri(value)) return `uri:${value}`
  const at = value.lastIndexOf('@')
  if (at >= 0) return `email:${value.slice(0, at)}${value.slice(at).toLowerCase()}`
  return `dns:${value.toLowerCase()}`
}

function unquoted(written: string): string | undefined {
  if (!written.startsWith('"')) return written
  try {
    return JSON.parse(written) as string
  } catch {
    return undefined
  }
}
