/** Are the listeners of this host reached, and do receivers reach the public one? */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Config } from '../config.ts'
import { parseListen } from '../serve/listen.ts'
import type { Role } from '../serve/roles.ts'
import { type Finding, failure, ok, roughly, warning } from './finding.ts'

const TIMEOUT_MS = 3000
const CERTIFICATE_WARN_MS = 14 * 86_400_000

interface Answer {
  readonly status: number
  readonly body: string
  readonly certificateEndsMs: number | undefined
}

/** @param kids of the keys that have to be in the key set. */
export async function listenerFindings(
  config: Config,
  roles: readonly Role[],
  kids: readonly string[],
): Promise<Finding[]> {
  const findings: Finding[] = []
  if (roles.includes('public')) {
    findings.push(
      ...(await listener('public', 'PUBLIC_LISTEN', config.PUBLIC_LISTEN, config.TLS_CERT_FILE !== undefined)),
    )
  }
  if (roles.includes('internal')) {
    const hasTls = config.INTERNAL_TLS_CERT_FILE !== undefined
    findings.push(...(await listener('internal', 'INTERNAL_LISTEN', config.INTERNAL_LISTEN, hasTls)))
  }
  findings.push(...(await listener('operations', 'OPS_LISTEN', config.OPS_LISTEN, false)))
  const base = config.PUBLIC_URL ?? config.ISSUER
  if (roles.includes('public') && /^https?:/.test(base)) findings.push(await keySet(base, kids))
  return findings
}

async function listener(name: string, variable: string, listen: string, hasTls: boolean): Promise<Finding[]> {
  const check = `${name} listener`
  const { host, port } = parseListen(listen)
  if (port === 0)
    return [ok(check, `${variable} has port 0, so that nobody but the process knows the port: not looked at`)]
  const url = `${hasTls ? 'https' : 'http'}://${reachable(host)}:${port}/readyz`
  try {
    const answer = await ask(url)
    if (answer.status === 503) {
      return [
        failure(check, `${listen} answers, but is not ready`, 'It does not reach Redis, or is stopping: see its log.'),
      ]
    }
    if (answer.status !== 200) {
      return [failure(check, `something else answers on ${listen}`, `Let ${variable} name a port that is free.`)]
    }
    return [ok(check, `${listen} is ready`), ...certificate(check, answer.certificateEndsMs)]
  } catch (error) {
    const client = (error as NodeJS.ErrnoException).code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'
    if (client) return [ok(check, `${listen} asks for a client certificate: it is reached`)]
    return [
      failure(
        check,
        `${listen} is not reached (${reason(error)})`,
        `Start the ${name === 'operations' ? '' : `${name} `}role here, or leave it out by --roles if it runs elsewhere.`,
      ),
    ]
  }
}

function certificate(check: string, endsMs: number | undefined): Finding[] {
  if (endsMs === undefined) return []
  const leftMs = endsMs - Date.now()
  const found = leftMs > 0 ? `ends in ${roughly(leftMs)}` : 'has ended'
  const name = `${check}: certificate`
  if (leftMs <= 0) return [failure(name, found, 'Replace its file: it is read again within a second.')]
  return [
    leftMs < CERTIFICATE_WARN_MS
      ? warning(name, found, 'Replace its file: it is read again within a second.')
      : ok(name, found),
  ]
}

/** What receivers verify with, by the address that they are given. */
async function keySet(base: string, kids: readonly string[]): Promise<Finding> {
  const check = 'key set'
  const url = `${base.replace(/\/+$/, '')}/.well-known/jwks.json`
  try {
    const { status, body } = await ask(url)
    const keys = status === 200 ? (JSON.parse(body) as { keys?: { kid?: string }[] }).keys : undefined
    if (keys === undefined) {
      return failure(
        check,
        `${url} answers ${status}`,
        'PUBLIC_URL, or ISSUER without one, has to lead to the public listener.',
      )
    }
    const served = new Set(keys.map(({ kid }) => kid))
    const missing = kids.filter(kid => !served.has(kid))
    if (missing.length > 0) {
      return failure(
        check,
        `${url} lacks ${missing.join(', ')}`,
        'It is served from another Redis, or from a cache: compare REDIS_URL and KEY_PREFIX.',
      )
    }
    return ok(check, `${url} has ${keys.length}`)
  } catch (error) {
    return warning(
      check,
      `${url} is not reached from here (${reason(error)})`,
      'Receivers have to reach it: look from where they are.',
    )
  }
}

function ask(url: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const isTls = url.startsWith('https:')
  // Whose certificate it is, receivers judge; here it is asked whether something answers, and until when it will.
  const options = { rejectUnauthorized: false, agent: false, timeout: TIMEOUT_MS, headers: { connection: 'close' } }
  const request = (isTls ? httpsRequest : httpRequest)(url, options, response => {
    const socket = response.socket as Partial<TLSSocket>
    const endsMs = isTls ? Date.parse(socket.getPeerCertificate?.().valid_to ?? '') : Number.NaN
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      if (body.length < 1_000_000) body += chunk
    })
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        body,
        certificateEndsMs: Number.isNaN(endsMs) ? undefined : endsMs,
      }),
    )
    response.on('error', reject)
  })
  request.on('timeout', () => request.destroy(new Error('no answer in time')))
  request.on('error', reject)
  request.end()
  return promise
}

/** An address that stands for all of them is reached on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
